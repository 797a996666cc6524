/** The tables of a run's books. A change of them is a new entry of MIGRATIONS; the number of entries is the version. */

/** "SKEI": says that a database is one of ours. */
export const APPLICATION_ID = 0x534b4549;

/**
 * Column names are those of the records (core/types.ts). Booleans are 0 or 1. What the clock says is only for people
 * to read: nothing is decided by it.
 */
const FIRST = `
CREATE TABLE run (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid TEXT NOT NULL,
  runId TEXT NOT NULL,
  config TEXT NOT NULL,
  phase TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  learnerAddress TEXT NOT NULL,
  policyVersion INTEGER NOT NULL,
  publishedVersion INTEGER NOT NULL,
  checkpointVersion INTEGER NOT NULL,
  firstVersion INTEGER NOT NULL,
  baseGroup INTEGER NOT NULL,
  updates INTEGER NOT NULL,
  envSteps INTEGER NOT NULL,
  meanReturn100 REAL,
  lastRequestId INTEGER NOT NULL,
  lastGroup INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  seenSteps INTEGER NOT NULL,
  pausedSeconds REAL NOT NULL,
  membersSeen INTEGER NOT NULL,
  memberSteps REAL NOT NULL,
  forgottenGroups INTEGER NOT NULL
) STRICT;

-- Learners whose place another has taken.
CREATE TABLE replacedLearners (incarnation TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Who has ever registered. leaseId is null once the lease has ended. place: -1 for learners.
CREATE TABLE services (
  role TEXT NOT NULL,
  name TEXT NOT NULL,
  leaseId TEXT,
  place INTEGER NOT NULL,
  relayAddress TEXT NOT NULL,
  appliedVersion INTEGER NOT NULL DEFAULT -1,
  appliedHash TEXT NOT NULL DEFAULT '',
  lastSeenUnixMs INTEGER NOT NULL,
  refusals INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (role, name)
) STRICT, WITHOUT ROWID;

-- Each attempt of each piece of work. finalFrom: once a checkpoint holds that version nothing changes it any more;
-- null = something still may.
CREATE TABLE requests (
  requestId INTEGER PRIMARY KEY,
  task TEXT NOT NULL,
  "group" INTEGER NOT NULL,
  member INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  actor TEXT NOT NULL,
  leaseId TEXT NOT NULL,
  seat INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  start TEXT NOT NULL,
  maxSteps INTEGER NOT NULL,
  deadlineSeconds REAL NOT NULL,
  policyVersion INTEGER NOT NULL,
  exact INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'open',
  reason TEXT NOT NULL DEFAULT '',
  steps INTEGER,
  version INTEGER NOT NULL DEFAULT -1,
  finalFrom INTEGER,
  episodeReturn REAL,
  episodeLength REAL,
  UNIQUE ("group", task, member, attempt)
) STRICT;
CREATE INDEX openRequests ON requests (leaseId, seat, requestId) WHERE state = 'open';
CREATE INDEX requestsInFlight ON requests (state) WHERE state IN ('open', 'held');
CREATE INDEX finalRequests ON requests (finalFrom) WHERE finalFrom IS NOT NULL;

-- Requests that are final, counted and deleted. version: that which trained them made; else -1.
CREATE TABLE folded (
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  version INTEGER NOT NULL,
  rollouts INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  PRIMARY KEY (state, reason, version)
) STRICT, WITHOUT ROWID;

-- Work that waits to be granted: lost work, and the members of a group that is begun.
CREATE TABLE backlog (
  task TEXT NOT NULL,
  "group" INTEGER NOT NULL,
  member INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  PRIMARY KEY (task, "group", member)
) STRICT, WITHOUT ROWID;
CREATE INDEX backlogByGroup ON backlog ("group", member);

CREATE TABLE seats (task TEXT PRIMARY KEY, lastGroup INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- announced: sealed once, so that what follows from it is asked for once.
CREATE TABLE groups (
  "group" INTEGER PRIMARY KEY,
  task TEXT NOT NULL,
  seed INTEGER NOT NULL,
  size INTEGER NOT NULL,
  state TEXT NOT NULL,
  announced INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX groupsByState ON groups (state) WHERE state = 'open';

-- Members that a void group did not have. final: how long the episode became after all.
CREATE TABLE stragglers (
  requestId INTEGER PRIMARY KEY,
  task TEXT NOT NULL,
  "group" INTEGER NOT NULL,
  member INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  final INTEGER NOT NULL
) STRICT;

-- Moments by Welford's method: m2 = sum of squared distances from the mean. fresh: since the newest batch began.
CREATE TABLE history (
  task TEXT NOT NULL,
  fresh INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  returns INTEGER NOT NULL,
  returnMean REAL NOT NULL,
  returnM2 REAL NOT NULL,
  lengths INTEGER NOT NULL,
  lengthMean REAL NOT NULL,
  lengthM2 REAL NOT NULL,
  PRIMARY KEY (fresh, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE weights (
  version INTEGER PRIMARY KEY,
  rootHash TEXT NOT NULL,
  mode TEXT NOT NULL,
  payloadBytes INTEGER NOT NULL,
  manifest TEXT NOT NULL,
  publishedUnixMs INTEGER NOT NULL
) STRICT;
`;

/** Entry k brings version k to version k + 1. */
export const MIGRATIONS: readonly string[] = [
  FIRST,
  "ALTER TABLE services DROP COLUMN relayAddress",
  "ALTER TABLE requests ADD COLUMN branches TEXT",
];
