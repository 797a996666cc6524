/** A group's vote on its answer. */
import { expectLength } from "../errors.js";
import { rowsByGroup } from "./group-statistics.js";

/**
 * 1 where a row has its group's most frequent answer, else 0; of answers that are as frequent that of the lowest member
 * wins. answers (same number = same answer), groups, members [R] → [R]
 */
export function majorityVotes(
  answers: Float64Array,
  groups: Float64Array,
  members: Float64Array,
): Float64Array {
  expectLength("majorityVotes", "groups", answers.length, groups.length);
  expectLength("majorityVotes", "members", answers.length, members.length);
  const agrees = new Float64Array(answers.length);
  for (const rows of rowsByGroup(groups)) {
    const votes = new Map<number, number>();
    for (const i of rows) votes.set(answers[i]!, (votes.get(answers[i]!) ?? 0) + 1);
    const votesOf = (i: number): number => votes.get(answers[i]!)!;
    const [winner] = rows.toSorted((a, b) => votesOf(b) - votesOf(a) || members[a]! - members[b]!);
    for (const i of rows) agrees[i] = answers[i] === answers[winner!] ? 1 : 0;
  }
  return agrees;
}
