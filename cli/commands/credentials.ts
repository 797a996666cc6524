/** The flags that name a process's certificates and token, where it has no run file to name them. */
import { SkeinError } from "../../core/errors.js";
import { readCredentials, type CredentialFiles, type Credentials } from "../../core/security/credentials.js";

export interface CredentialOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly tokenFile?: string;
}

/** Throws CONFIG_INVALID where the flags are not complete or a file is not what it should be. */
export function credentialsOf(options: CredentialOptions): Promise<Credentials> {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca, tokenFile = null } = options;
  if (cert === undefined && key === undefined && ca === undefined) {
    return readCredentials({ tls: null, tokenFile });
  }
  if (cert === undefined || key === undefined || ca === undefined) {
    throw new SkeinError("CONFIG_INVALID", "--tls-cert, --tls-key and --tls-ca: expected all three or none");
  }
  return readCredentials({ tls: { cert, key, ca }, tokenFile });
}

/** The flags that give a process these files. */
export function credentialFlags({ tls, tokenFile }: CredentialFiles): string[] {
  const identity = tls === null ? [] : ["--tls-cert", tls.cert, "--tls-key", tls.key, "--tls-ca", tls.ca];
  return tokenFile === null ? identity : [...identity, "--token-file", tokenFile];
}
