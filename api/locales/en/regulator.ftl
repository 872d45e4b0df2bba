# Words of the authority’s pages.

chart-accesses = Accesses by period and by verdict now
chart-accesses-basis = Accesses by period and by verdict now: { $basis }
chart-accesses-desc = { $n ->
    [one] One column, stacked by verdict; the table beside it gives each number.
   *[other] { $n } columns, one a period, stacked by verdict; the table beside it gives each number.
 }
chart-codes = Findings by rule
chart-codes-desc = { $n ->
    [one] One bar; the table beside it gives each number.
   *[other] { $n } bars, one a rule, the most frequent first; the table beside it gives each number.
 }
chart-codes-note = Findings that stand. Solid: as made when recorded; hollow: brought or changed since.
date-unknown-short = no date
event-AccessContested = Access contested
event-AccessDenied = Access refused
event-AccessGranted = Access granted
event-AccessRecorded = Access reported
event-ConsultationHeld = Consultation
event-ContestationAnswered = Contestation answered
event-CourtRuling = Court decision
event-DataUsedAgainstSubject = Use against a person
event-DecisionEnded = Decision ended
event-DecisionRendered = Decision rendered
event-ErasureRefused = Erasure refused
event-EvaluationPublished = Evaluation published
event-ExpansionPlanned = Expansion planned
event-ExperimentEnded = Experiment ended
event-ExperimentExpanded = Expansion
event-ExperimentLaunched = Experiment launched
event-FormalityFiled = Formality filed
event-GeneralisationConditionMet = Condition met
event-GeneralisationConditionSet = Condition set
event-GeneralisationDecided = Generalisation decided
event-ImpactAssessmentFiled = Impact assessment
event-KeyEnrolled = Key enrolled
event-KeyRevoked = Key revoked
event-LedgerKeyRotated = Ledger key changed
event-LedgerOpened = Ledger opened
event-MilestoneRecorded = Step
event-PartyRegistered = Party registered
event-ProcessingAmended = Processing amended
event-ProcessingDeclared = Processing declared
event-ProcessingWithdrawn = Processing withdrawn
event-ReceiptIssued = Receipt issued
event-ReferenceTextPublished = Reference text published
event-SiteEnrolled = Site enrolled
event-StatementMade = Public statement
event-SubjectAgreed = A person’s agreement
event-SubjectErased = Erasure
event-SubjectObjected = A person’s objection
event-SubjectsInformed = Persons informed
event-SystemDeployed = Put into service
event-WorksCouncilOpinion = Works council’s opinion
reg-about = About
reg-access = Access
reg-accesses = Accesses
reg-accesses-n = { $n ->
    [0] no access
    [one] see { $n } access
   *[other] see the { $n } accesses
 }
reg-accesses-title = Search of accesses
reg-address = The address of the page is the search: copy it, share it, bookmark it.
reg-agent = Agent
reg-all-accesses = All these accesses
reg-all-filed = All it filed
reg-any = Any
reg-as-known = as known at entry
reg-audit = Journal
reg-audit-intro = Every entry, in the order the register received it. None is ever rewritten.
reg-audit-title = Search of the journal
reg-basis = Basis claimed
reg-by = by
reg-by-basis = By basis claimed
reg-by-basis-note = An access that claims several bases counts in each.
reg-by-controller = Findings that stand, by who disclosed the data
reg-cause = caused by entry
reg-cause-rules = the rules changed, not the register
reg-cells = { $n ->
    [one] { $n } cell
   *[other] { $n } cells
 }
reg-changed-by = { $n ->
    [one] The entry that changed the answer
   *[other] The entries that changed the answer
 }
reg-changes = What changed
reg-channel = Channel
reg-clear = Clear all
reg-contested = contested by entry
reg-cost-direct = Direct cost
reg-cost-indirect = Indirect cost
reg-cost-total = Total cost
reg-costs = Costs disclosed
reg-costs-note = The indirect cost and the total are intervals, by the multiple announced when the experiment was launched.
reg-dossier = Dossier
reg-dossier-access = Dossier of access
reg-dossier-accesses = Dossier of a search of accesses
reg-dossier-check = What can be checked with it
reg-dossier-check-1 = Each entry: its link is computed again from its bytes, and the register’s key signed that link at that position.
reg-dossier-check-2 = Each filing: its author’s signature, and the digest that the entry cites.
reg-dossier-check-3 = The last line: the register’s signed head, which shows that the file was not cut short.
reg-dossier-check-4 = What it does not show: that no other entry matches the search. The whole export of the register does (greffe-verify).
reg-dossier-cut = (the first only: narrow the search)
reg-dossier-experiment = Dossier of the experiment
reg-dossier-holds = The file holds the accesses, the entries their findings rest on and the signed filings, one a line, in the register’s order. Personal values are not in it: only their digests.
reg-dossier-lines = Checkable dossier (NDJSON)
reg-dossier-list = Accesses of the dossier
reg-dossier-more = { $n ->
    [one] { $n } more access is in the NDJSON file.
   *[other] { $n } more accesses are in the NDJSON file.
 }
reg-dossier-page = Dossier to print
reg-dossier-party = Dossier of the party
reg-entries-of = The entries both answers rest on
reg-entry = Entry
reg-errors = { $n ->
    [one] One field is to be corrected; nothing is lost.
   *[other] { $n } fields are to be corrected; nothing is lost.
 }
reg-evidence = Evidence
reg-experiment-accesses = Accesses within the experiment
reg-field-as-of = Happened by
reg-field-basis = Basis claimed
reg-field-by = Filed by
reg-field-category = Category of data
reg-field-code = Rule
reg-field-discloser = Disclosed by
reg-field-experiment = Experiment
reg-field-finding = Finding when recorded
reg-field-from = From
reg-field-known-at = As known at
reg-field-now = Verdict now
reg-field-party = Party (filed, disclosed or received)
reg-field-processing = Processing
reg-field-purpose = Purpose
reg-field-q = Word, name or number
reg-field-recipient = Recipient
reg-field-since = Found or changed since
reg-field-site = Site or SIRET
reg-field-state = State
reg-field-stream = Subject matter
reg-field-to = To
reg-field-type = Type
reg-field-verdict = Verdict when recorded
reg-filed-by = Filed by
reg-filing = Filing (digest)
reg-filters = Filters
reg-findings = Findings
reg-findings-title = Findings board
reg-found-then = Found when recorded
reg-from = disclosed by
reg-gained = found since
reg-go = Search
reg-good-faith = The access was covered on the day it was recorded and lost its cover only through a later, retroactive act: whoever relied on it could not have known.
reg-group = group:
reg-hint-known-at = Position, date YYYY-MM-DD or UTC time
reg-hint-stream = E.g. processing/anaiss
reg-intro = All accesses, findings and entries, to read only. What is shown here is what the register finds: it is not a decision.
reg-its-entry = The entry as sealed
reg-key-live = live
reg-key-revoked = revoked
reg-key-state = State
reg-known-at = As known at: { $known }.
reg-leaf = The entry’s leaf
reg-leaf-cut = The leaf is longer; the dossier has it whole.
reg-link-changed = Findings brought or changed in the last thirty days
reg-link-contested = Contested accesses
reg-link-decisions = Decisions of the authority
reg-link-endings = Decisions annulled, withdrawn or expired
reg-link-keys = Revoked keys
reg-link-lost-cover = Accesses covered then, not covered now
reg-link-motives = Sick-leave motives (MSD) disclosed
reg-link-not-covered = Accesses not covered now
reg-link-not-informed = Persons not informed
reg-link-purpose-refused = Purposes refused, and pursued all the same
reg-link-refused = Access requests refused
reg-link-small-cells = Figures about too few persons to be disclosed
reg-lost = taken away since
reg-made-on = Made on
reg-nav = The authority’s pages
reg-newest = Newest first
reg-no-change = Nothing: the answer given then still stands.
reg-no-finding = No finding.
reg-no-formality = no formality recorded
reg-no-live-key = No live key: this party can file nothing more.
reg-none = Nothing matches this search. That says nothing of what was never filed.
reg-not-judged = Not judged
reg-now = Now
reg-now-is-now = “Finding now” and “As known at” do not go together: leave one of them out
reg-now-short = Now
reg-oldest = Oldest first
reg-other-entries = Other entries
reg-other-time = Read the answer at another time
reg-party-accesses = Its accesses
reg-party-accesses-note = Filed, disclosed or received.
reg-party-board = These findings one by one
reg-party-findings = Findings on what it disclosed
reg-period = Period of the data
reg-period-col = Period
reg-persons = { $n ->
    [one] { $n } person (reference concealed)
   *[other] { $n } persons (references concealed)
 }
reg-prev = Previous link
reg-print = the page prints as it is
reg-public-page = public page
reg-purpose = Purpose
reg-recorded = Recorded on
reg-refused = refused
reg-regime = Regime
reg-rests-on = Covered by entries
reg-rests-on-nothing = none
reg-reweighed = reassessed
reg-role = Capacity of the recipient
reg-rule = Rule
reg-rulebook = Rules applied
reg-save = Keep
reg-save-name = Keep this search under a name
reg-saved = Searches kept in this browser
reg-saved-done = Kept.
reg-saved-none = None.
reg-saved-note = The address of a search holds all of it: a bookmark is enough. Names given here stay in this browser.
reg-saved-remove = remove
reg-sealed = As sealed
reg-sealed-intro = The bytes below are those that were linked and signed. Personal values stand in them by their digest alone.
reg-search-label = Search the journal
reg-searches = Search
reg-severity = Severity
reg-sides = Then and now
reg-standing-findings = Findings
reg-standings = Accesses by verdict, when recorded and now
reg-start = Overview
reg-state-changed = changed
reg-state-closed = closed
reg-state-open = open
reg-states = Open: stands as made when recorded. Changed: brought or reassessed since. Closed: no longer stands.
reg-then = When recorded
reg-then-short = Then
reg-tile-accesses = accesses recorded
reg-tile-changed = accesses whose answer changed since { $since }
reg-tile-entries = entries
reg-tile-news = findings brought, changed or closed afterwards since { $since }
reg-tile-open = findings that stand
reg-time = Time of recording
reg-title = The authority
reg-to-newest = newest first
reg-to-oldest = oldest first
reg-total = Total
reg-valid-until = may be served until
reg-verdict = Verdict
reg-verdicts = The accesses
reg-weighed-then = assessed then:
reg-what = What was disclosed
reg-when = Date
severity-BLOCKING = blocking
severity-INFO = information
severity-MAJOR = major
severity-MINOR = minor
verdict-mark-COVERED = C
verdict-mark-COVERED-WITH-RESERVATIONS = R
verdict-mark-NOT-COVERED = N
verdict-mark-UNDETERMINED = U
reg-generalisation-considered = generalisation considered or subject to conditions
reg-generalisations-note = These findings are on no access and have no history: they are made by what is known now, for generalisations decided, considered or subject to conditions.
