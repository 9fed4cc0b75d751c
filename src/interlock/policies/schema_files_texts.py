# ruff: noqa: E501 -- one line per key reads better than any wrapping
"""What each key of a policy file and of a suite means, for editors. One line per key."""

from __future__ import annotations

from collections.abc import Mapping

_POLICY = """
PolicyDocument
  apiVersion: The version of this format: `interlock/v1`.
  kind: What this file is: `Policy`.
  metadata: Name and version, which go into every decision with the SHA-256 of the files.
  mode: `shadow` decides and counts, but never holds; `enforce` is the default.
  matrix: Levels by reversibility (rows) and stake (columns), or a preset: lenient, standard, strict. Rises to the right and downwards.
  stake: What facets mean, by facet: classes with their stake, or bands of an amount.
  vars: Constants that conditions read as `vars.NAME`.
  tools: What can be called. A call that is in no entry is unknown.
  rules: They only raise (level, stake, reversibility) or deny, so their order does not matter.
  limits: Budgets: how much may happen within a window. Reserved when a call is decided.
  exceptions: The only thing that lowers: narrow, dated, owned, never against deny.
  signals: What raises beside rules: low confidence, what is new, what the session did.
  levels: Who decides at each level, how many of them, and within which time.
  approvals: What approving takes: reasons, caps against floods, remembered refusals, grants.
  edit: What people may change in a held call.
  redact: What approvers and logs do not see.
  audit: Which share of the calls that nobody has to decide is looked at afterwards.
  records: How long records of decided calls are kept, for figures, exports and calibration.
  defaults: What happens where nothing is said, or nothing is known. It only becomes stricter.
Metadata
  name: Short name of the policy; it goes into every decision.
  version: Whole number from 1; raise it with each change.
  owner: Who answers for this policy.
  description: One sentence for people.
MatrixEntry
  read_only: Levels at low, medium, high, critical stake for calls that change nothing.
  reversible: Levels at low, medium, high, critical stake for calls that another call undoes.
  compensable: Levels at low, medium, high, critical stake for calls whose effect can be made good.
  irreversible: Levels at low, medium, high, critical stake for calls that nothing takes back.
BandEntry
  upto: Amounts up to and including this. The last band has none: it takes all above.
  stake: The stake of amounts in this band; it rises from band to band.
ToolEntry
  id: Name of the tool, such as `pay.transfer`.
  description: One sentence in plain words; approvers read it.
  http: The HTTP calls that are this tool. Exactly one of `http` and `mcp`.
  mcp: The tools of an MCP server that are this tool. Exactly one of `http` and `mcp`.
  annotations: How far the MCP server's own words about the tool are believed.
  args_schema: JSON Schema of the arguments. A call that does not fit is denied.
  reversibility: Whether the effect can be taken back. Unknown is irreversible.
  undo: How it is undone; reversible and compensable tools need one.
  facets: Why a call matters, such as `data: confidential` or `amount: args.amount`. The highest stake counts.
  egress: Whether the call can carry data out.
  target: The arguments that say what is acted on; grants, refusals and novelty are bound to them. Left out: all arguments.
  taints: What reading it does to the session: untrusted_content, sensitive_data.
  orphans: What becomes of an approved call whose caller has gone: execute or refuse.
HttpEntry
  upstream: Name of the upstream in interlock.yaml.
  method: GET, POST ...; one or several.
  path: Path template: `/accounts/{account}/pay`; `{key...}` takes the rest.
  service: The service that the request is signed for, such as `s3`.
  header: Headers that must have one of these values; `*` stands for any text.
  without_header: Headers that must not be there; `x-amz-grant-*`.
  query: Query parameters that must have one of these values.
  form: Form fields that must have one of these values.
  json: Members of the JSON body that must have one of these values; dotted names reach inside.
  graphql: The GraphQL operation: its name, or {name, type, fields}.
  params: Further query parameters that the call may have; others make it unknown.
  multi: Query parameters and form fields that may repeat.
  body: Kinds of body that it takes: json, form, opaque (bytes that policy does not look into).
GraphQLEntry
  name: Name of the operation, or a pattern. The agent chooses it, so it proves nothing.
  type: query, mutation or subscription.
  fields: Root fields that it may select; they are what runs.
McpEntry
  server: Name of the MCP server in interlock.yaml.
  tool: Name of a tool, a glob such as `{get,list}_*`, or a list of them.
AnnotationsEntry
  trust: `raise_only`: what the server says may raise, never lower. `full` needs a pin.
  pin: Accepted definitions, `sha256:...`; a tool with another definition is unknown.
UndoEntry
  tool: The tool that undoes it.
  within: For how long that works: `24h`.
  reason: Why it can be taken back, where no call does it.
  arguments: Arguments of that tool, each from `args.NAME` of this call or `answer.PATH` of what the tool answered. With them people have a button.
RuleEntry
  id: Name of the rule; decisions and tests name it.
  description: One sentence; the approver reads it.
  tools: Tools, or patterns of their names; `*` is every tool, and unknown calls too.
  when: Condition. What cannot be evaluated counts as true here. Left out: always.
  at_least: The level that calls get at least.
  stake: The stake that calls have at least.
  reversibility: How hard calls are to take back, at least.
  deny: Refuses the call; this is the message for the agent.
  mode: `shadow` counts the rule without enforcing it.
  refs: References of your own, such as a risk register's number.
ExceptionEntry
  id: Name of the exception.
  description: One sentence for people.
  tools: Tools, or patterns of their names.
  when: Condition; it depends on `args`. What cannot be evaluated does not apply.
  at_most: The level that it lowers to.
  owner: Who answers for it.
  reason: Why it is safe; it is recorded with every call that it lowers.
  expires: Its last day, UTC, in quotes: "2027-03-31".
  mode: `shadow` counts the exception without applying it.
LimitEntry
  id: Name of the limit.
  description: One sentence for people.
  tools: Tools that count, or patterns of their names.
  key: What has a budget of its own: agent.id, agent.owner, session.id, tool, target, args.NAME.
  window: Over which time is counted: `1h`.
  count: How many calls fit. Either `count`, or `sum` and `max`.
  sum: What is added up, such as args.amount.
  max: Up to which sum the calls fit.
  then: The level that a call beyond it gets at least.
  mode: `shadow` counts the limit without enforcing it.
Signals
  confidence: What the agent says of itself; it may raise, never lower.
  novelty: The first call of its kind raises.
  session_risk: What the session has done so far raises.
  session: What one session is, and how long it is remembered.
ConfidenceEntry
  missing: What a call without a claim counts as.
  raise_below: By stake: a confidence below this raises by one level.
  use: `claimed`: what the agent says. `calibrated`: the lower of that and what past decisions make of it.
RaiseBelow
  low: Threshold at low stake.
  medium: Threshold at medium stake.
  high: Threshold at high stake.
  critical: Threshold at critical stake.
NoveltyEntry
  key: What makes a call new: agent.id, agent.owner, session.id, tool, target, args.NAME.
  memory: How long a call stays familiar: `30d`.
  raise: By how many levels.
SessionRiskEntry
  points: Points of a call that was sent, by its stake.
  half_life: In which time half of the points are forgotten.
  raise_at: From how many points on, and by how many levels.
PointsEntry
  low: Points of a call of low stake.
  medium: Points of a call of medium stake.
  high: Points of a call of high stake.
  critical: Points of a call of critical stake.
RaiseAt
  points: From this many points on.
  raise: By how many levels.
SessionEntry
  scope: `session`: as the framework names it. `agent`: all of an agent's calls are one session.
  memory: How long a session is remembered after its latest call.
LevelsEntry
  notify: Who is told of calls that go through with a notice.
  approve: Who decides calls that wait for one person.
  approve_dual: Who decides calls that wait for two different people.
LevelEntry
  approvers: Groups that may decide; left out: any approver.
  quorum: How many people have to approve.
  remind_after: After how long they are reminded, again and again.
  escalate: Who may decide as well, once a call has waited for so long.
  expire_after: After how long a call lapses.
  dwell: How long a person must have had the call in sight before they approve it: `10s`.
  step_up: `webauthn`: an approval needs a signature of the person's security key or passkey.
  fold: Whether what policy and agent say of the call is folded until the person has judged it.
  on_expire: What becomes of it then: it is denied.
EscalationEntry
  after: How long the call has waited.
  to: Groups that may decide from then on.
NotifyEntry
  to: Groups that are told; left out: everybody.
  digest: How often they are told, of all calls together: `1h`. Left out: of each at once.
Approvals
  separation: Who may never approve: the requester and the agent's owner.
  require_reason: Which verdicts need a reason.
  caps: How many calls may wait; more are denied, so that no loop floods the approvers.
  repeat_denied: What becomes of a call like one that a person refused a while ago.
  grants: What people may grant for a while ("do not ask again").
  batch: Which calls may be approved together; left out: none.
  per_hour: How many calls one person may approve in an hour; left out: any number.
  rotate: Whether each held call is assigned to one of those who may decide it.
  decoys: Practice calls, copies of rejected ones, that are never sent.
  reasons: Reasons for rejecting to choose from, by code: `wrong_amount: Wrong amount`.
BatchEntry
  up_to: The highest stake of such calls: low or medium.
DecoysEntry
  share: Beside which share of held calls one is put: 0.02, at most 0.2.
CapsEntry
  open_per_session: Calls of one session that may wait at once.
  per_agent_per_hour: Calls of one agent that may be held within an hour.
RepeatDeniedEntry
  same_call_within: For how long a refusal is remembered.
  then: The level that such a call gets at least.
GrantsEntry
  tools: Tools for which a grant may be given.
  at_most: The level that a grant lowers to.
  longest: For how long a grant may hold.
  uses: How often a grant may be used.
Edit
  allow: Arguments that people may edit, by tool; other tools cannot be edited then.
  must: Conditions over edited.args and original.args that an edit has to keep to.
  then: An edited call is decided again.
Redactions
  approver: Arguments hidden from approvers until they reveal them.
  logs: Arguments and headers kept out of logs and records.
  detectors: Kinds of secrets that are hidden wherever they occur.
Defaults
  unknown_tool: What a call in no entry gets; never `allow`.
  args_schema_mismatch: Calls that do not fit their schema are denied.
  indeterminate: What doubt does; it cannot be loosened.
  store_unavailable: Without the store nothing passes.
  exception_floor: The lowest level that an exception may lower to.
AuditEntry
  share: Of all calls that go through unasked, unknown ones too: 0.05 is one in twenty.
  tools: Larger shares of some tools, or patterns of their names: `"payments.*": 0.2`. The largest that applies counts.
RecordsEntry
  keep: How long any record is kept: `400d`.
  keep_unreviewed: How long those are kept that no person decided or audited: `30d`.
UnknownToolEntry
  stake: The stake of unknown calls.
  reversibility: How unknown calls are taken to be.
  level: The level of unknown calls, at least.
Indeterminates
  in_rule: A rule that cannot be evaluated fires.
  in_exception: An exception that cannot be evaluated does not apply.
"""

_SUITE = """
SuiteDocument
  apiVersion: The version of this format: `interlock/v1`.
  kind: What this file is: `PolicyTest`.
  policy: Policy file or files, relative to this one; together they are one policy.
  coverage: Percentages below which the run fails.
  now: The time at which calls are judged, unless a case says otherwise.
  fixtures: Agents and calls that cases name.
  cases: Calls, and what has to be decided about each.
  properties: Claims about many generated calls.
Coverage
  rules: Percent of rules and exceptions that have to fire in some case.
  limits: Percent of limits that some case has to exceed.
  matrix_cells: Percent of the sixteen cells that cases have to reach.
Fixtures
  agents: Agents by name.
  calls: Calls by name.
Case
  name: What the case says, as a sentence.
  call: A call of `fixtures.calls`, or one written out.
  agent: An agent of `fixtures.agents`, or one written out.
  now: The time of this case.
  task: The user's own request, for `stated(x)`.
  facts: What happened before. Left out: nothing did, and the target is familiar.
  set: What differs in the call: args.NAME, agent.*, session.*, facts.*, call.hour, call.service, call.region, task.
  expect: What has to be decided.
  each: A table: each row sets something and says what it expects.
Row
  expect: What has to be decided.
CallEntry
  tool: A tool of the policy, by its id.
  args: Its arguments.
  mcp: A call of an MCP tool, run through matching, with `args`.
  upstream: Upstream of an HTTP call that is run through matching.
  method: HTTP method; beside `tool`, one of those that it takes.
  path: Path, with or without a query.
  query: Query parameters.
  headers: Headers.
  body: Body as text.
  json: Body as JSON.
  form: Body as a form.
  content_type: Media type of the body.
  service: The service that the request is signed for.
  region: The region that the request is signed for.
McpCallEntry
  server: Name of the MCP server.
  tool: Name of the tool.
  definition: `sha256:...` of the definition that the server listed.
  annotations: What the server says of the tool, such as destructiveHint.
AgentEntry
  id: Id of the agent.
  owner: Who answers for the agent.
  confidence: What the agent says of itself, 0 to 1.
FactsEntry
  unknown: Whether the store lost what it knew: every answer is missing, and counts against the call.
  familiar: Whether such a call was made before.
  used: By limit, how much of it is used: calls, or the sum.
  refused: Whether a person refused such a call a while ago.
  grant: Whether a person granted calls to this target.
  open_in_session: How many calls of the session wait.
  holds_in_hour: How many calls of the agent were held within the hour.
  calibrated: What past decisions make of the agent's confidence, 0 to 1.
  session: What the session has done so far.
SessionEntry
  id: Name of the session.
  untrusted_content: Whether it has read untrusted content.
  sensitive_data: Whether it has read sensitive data.
  points: Its risk points.
  writes: Calls sent that were not read_only.
  calls: Calls sent.
GrantEntry
  id: Id of the grant.
  by: Who granted it.
  reason: Why.
Expect
  level: The level of the decision.
  level_at_least: The level of the decision is this one, or a stricter one.
  stake: The stake.
  reversibility: The reversibility.
  facet: The facet or rule that decided the stake.
  rules: All rules that fire.
  shadow: All rules and limits that fire in shadow mode.
  exceptions: All exceptions that apply.
  signals: All signals that raise: confidence, novelty, session_risk, repeat_denied.
  indeterminate: Whether something could not be evaluated.
  reason: The machine's word, such as unknown_tool or args_schema_mismatch.
  message: A part of the message for the agent.
  tool: The tool that the call is.
  would_be: What a policy in shadow mode would have asked for.
  limits: All limits and caps that the call would exceed.
  grant: Whether a grant lowered the level, or the id of that grant.
  egress: Whether the call can carry data out.
  taints: What the call does to the session.
  target: Names of the arguments that grants and refusals are bound to.
  approvers: Groups that may decide.
  quorum: How many people have to approve.
  expire_after: How long it is held; nothing where it is not.
  dwell: How long a person must have had it in sight before they approve it.
  step_up: Whether an approval needs a signature of the person's authenticator.
  folded: Whether what the machine made of it is folded until the person has judged.
  batch: Whether it may be approved together with others.
  audit: Which share of such calls is looked at afterwards; 0 where people decide.
  windows: By limit that counts the call, the time that it looks back.
Property
  name: The claim, as a sentence.
  for: Which calls it is about.
  monotone: The level never falls while what varies rises.
  monotone_down: The level never rises while what varies rises.
  level_at_least: No call is below this level.
Scope
  tool: A tool, or a pattern; left out: all.
  egress: Only tools that can carry data out, or only others.
  vary: args.NAME, a facet such as amount, agent.confidence or session.FIELD.
  session: What the session has done before each call.
"""


def _read(text: str) -> Mapping[str, Mapping[str, str]]:
    models: dict[str, dict[str, str]] = {}
    model: dict[str, str] = {}
    for line in text.strip().splitlines():
        if line.startswith("  "):
            key, _, meaning = line.strip().partition(": ")
            model[key] = meaning
        else:
            model = models.setdefault(line, {})
    return models


POLICY = _read(_POLICY)
SUITE = _read(_SUITE)
