# Words of the pages and of the demonstration.

affair-then = then
affair-now = now
affair-anaiss-title = ANAISS, 2005
affair-anaiss-question = On 1 April 2005, could managers steer social workers by the social difficulties of the people they help?
affair-absence-motives-title = Sick-leave motives, 2017
affair-absence-motives-question = On 20 November 2017, could an employer in Grenoble be shown the musculoskeletal disorders of its staff?
affair-call-monitoring-title = Call logs, 2022
affair-call-monitoring-question = In 2022, could the employer read the call logs of an employee who was then dismissed?
affair-case-management-title = Case management, 2013–2017
affair-case-management-question = Could the experiment be generalised in 2017?
affair-risk-index-title = Risk index, 2026
affair-risk-index-question = May the national risk index be generalised?
affair-annulment-title = An annulled authorisation (invented case)
affair-annulment-question = Is an access that was covered on the day still covered once the authorisation is annulled retroactively?

check-1 = Get a full copy of the ledger from whoever keeps it:
check-2 = Check it offline, with the public key received by another way:
check-3 = Compare the last line shown with the head above: every signature, link and verdict was computed again.

demo-affairs = The affairs, each with its sharpest answer:
demo-open = To open:
demo-try = To try:

evidence-contradicted = contradicted
evidence-not-evidenced = not evidenced
evidence-uncertain = uncertain

head-origin = Origin
head-size = Entries
head-time = Last entry
head-link = Link
head-key = Key
head-signature = Signature

home-title = Who saw what, on what basis, and who had allowed it
home-intro = This register records the processing of health data at work and in social insurance, the decisions of the authority that supervises it, and every access to such data given to an employer or a service. Of each access it says whether it was covered, and why.
home-how = No entry is ever rewritten: personal data can be erased, and their digest stays. Each entry is signed by its author and sealed after the one before; an answer given one day can be read again as it was that day.
home-simulated = Demonstration: the clock is simulated; recording dates are those of the replayed affairs.
home-affairs = The documented affairs
home-finding-not-ruling = A finding of the register, not a ruling: “not evidenced” means that nothing recorded shows it; “contradicted”, that something recorded shows the contrary; “uncertain”, that both remain possible.
home-entry = Entry
home-more = Further findings:
home-changed-by = { $n ->
    [one] answer changed by entry
   *[other] answer changed by entries
 }
home-register-entry = Register entry
home-head = The ledger’s head
home-head-intro = Whoever keeps this head can later prove that an entry was removed or changed.
home-check = Check it yourself
home-read = Read the register

page-skip = Skip to content
page-languages = Language
page-problems = Problem codes
page-vocabulary = Vocabulary
page-footer = No tracker; every page reads without scripts.

read-processings = Processings
read-decisions = Decisions
read-experiments = Experiments
read-parties = Parties and keys
read-stats = Statistics
read-head = Signed head
read-rights = The register is public. Accesses, findings and the journal are read with a token: the authority reads everything, a party what it filed, disclosed or received.

verdict-COVERED = Covered
verdict-COVERED-WITH-RESERVATIONS = Covered with reservations
verdict-NOT-COVERED = Not covered
verdict-UNDETERMINED = Undetermined
verdict-obstacles = Not as it stands
verdict-free = Nothing stands in the way

as-json = The same facts as JSON
as-of-both = The register on { $day }, by what was known on { $known }.
as-of-day = Valid on
as-of-go = Show
as-of-known = The register by what was known on { $known }.
as-of-knowledge = Known on
as-of-title = Read the register at a date
as-of-today = Back to what is known now
as-of-valid = The register on { $day }, by what is known now.

chart-day = Date
chart-planned = Planned
chart-recorded = Enrolled
chart-sites = Sites enrolled, allowed and planned

claim-denied = denied
claim-holds = asserted

condition = Condition
condition-experimentation = Prior experiment
condition-individual-data-protection = Protection of individual data
condition-is-met = met
condition-met = Met
condition-not-met = not recorded as met
condition-scientific-validation = Scientific validation
condition-set = Set by entry
condition-social-partners-concertation = Thorough concertation with the social partners
condition-technical-prerequisites = Technical prerequisites in the software
conditions = Conditions:
conditions-title = Conditions of generalisation

controller = Controller
counted-agreements = Agreements of persons, recorded
counted-objections = Objections of persons, recorded
counted-uses = Uses against persons, recorded

date-between = between { $from } and { $to }
date-since = since { $day }
date-unknown = date unknown
date-until = { $day } at the latest

decision-about = on
decision-ended = { $how } (entry { $position })
decision-no-outcome = No outcome by purpose is recorded.
decision-number = Decision no. { $n }
decision-outcomes = Outcome for each purpose
decision-overall = Overall:

described = described by a third party
described-long = described by a third party: no formality

entries-n = { $n ->
    [one] entry
   *[other] entries
 }
entry = entry

experiment-no-site = No site is enrolled.
experiment-sites = Sites enrolled

fact-assessed = Impact assessment
fact-condition-met = Condition met
fact-condition-set = Condition set
fact-consulted = Consultation
fact-decided = Decision
fact-declared = Processing declared
fact-deployed = Put into service
fact-ended = Experiment ended
fact-evaluated = Evaluation published
fact-expanded = Expansion
fact-formality = Formality
fact-generalised = Generalisation decided
fact-informed = Persons informed
fact-launched = Experiment launched
fact-milestone = Step
fact-opinion = Works council’s opinion
fact-planned = Expansion planned
fact-receipt = Receipt
fact-ruled = Court decision
fact-stated = Public statement
fact-withdrawn = Withdrawn

field-appeal = Appeal
field-approximate = Number is approximate
field-audience = Persons informed
field-awarded-cents = Sum awarded
field-by = By
field-capabilities = Capabilities
field-categories = Categories of data
field-claims = What is said
field-conclusions = Conclusions
field-condition = Condition
field-consulted-regulator = Authority consulted
field-court = Court
field-effective-from = Effective from
field-end = End
field-establishes = What is established
field-evaluation-planned = Evaluation announced
field-excludes-evidence = Evidence set aside
field-formality = Formality
field-headcount-above = Headcount above
field-held = Took place
field-high-risk = High risk
field-identifiability = Form of the data
field-indirect-cost-permille = Indirect cost, as a multiple of the direct cost
field-kind = Kind
field-legal-basis = Legal basis
field-means = Means
field-milestone = Step
field-minimum-days = Minimum duration
field-monitors-staff = Monitors staff
field-number = Number
field-on = On
field-opinion = Opinion
field-outcome = Outcome
field-purposes = Purposes
field-reason = Reason
field-recipients = Recipients
field-reference = Reference text
field-regions = Regions
field-residual-risk = Residual risk
field-security = Security
field-sites = Sites
field-special-basis = Exception for sensitive data
field-start = Start
field-step = Step
field-subjects = Persons concerned
field-target-sites = Target number of sites
field-transfers = Transfers
field-unit = Unit
field-until = Until
field-when = Date announced

key-enrolled = Enrolled by entry
key-revoked = Revoked by entry

kind-act = its author’s own act
kind-judgment = court decision
kind-press = press
kind-receipt = receipt
kind-statement = statement
kind-of-decision = Decision
kind-of-experiment = Experiment
kind-of-party = Party
kind-of-processing = Processing

milestone-appeal-reserved = Appeal reserved
milestone-commissioned = Report commissioned
milestone-design-planned = Design planned
milestone-evaluation-planned = Evaluation planned
milestone-feasibility-gate-set = Feasibility set as a precondition
milestone-generalisation-planned = Generalisation considered
milestone-indicator-reported = Indicator reported
milestone-launch-planned = Launch planned
milestone-notified = Notified
milestone-offers-received = Offers received
milestone-predictive-equation-expected = Predictive equation expected
milestone-public-criticism = Public criticism
milestone-published = Published
milestone-remediation-announced = Remediation announced
milestone-tender-launched = Tender launched
milestone-trial-started = Trial started

month = { $n ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
 }

home-newest = Declarations and decisions, newest first
nav-register = Register
nav-search = Search
no = no
obstacles-title = What stands in the way of generalising
page-home = Home
page-nav = Sections
page-next = More
party-keys = Signing keys
party-processings = Processings it answers for
processing-declared = What is declared
recorded-on = recorded on
register-intro = The processings, what the authority decided on them, the experiments and the parties. Each fact carries the entry it comes from.

role-controller = controller
role-court = court
role-employer = employer
role-observer = observer
role-registrar = registrar
role-regulator = authority
role-subject-desk = subject desk
role-works-council = works council

rows-none = Nothing is recorded.
search-cut = Only the first are shown: narrow the search.
search-found = { $n ->
    [0] Nothing in the register matches.
    [one] { $n } result
   *[other] { $n } results
 }
search-go = Search
search-help = A processing, a decision, an experiment or a party: by its name, number or identifier.
search-label = Search the register
site-commune = Commune
site-enrolled = Enrolled
site-headcount = Headcount
site-name = Site
timeline-none = Nothing is recorded at that date.
timeline-note = In order of the facts. A dotted line marks what a third party describes: it is not the competent party’s own act.
timeline-title = Timeline
unknown = unknown
valid-maybe = perhaps later

value-closed = closed
value-company = company
value-days = { $n ->
    [one] { $n } day
   *[other] { $n } days
 }
value-establishment = establishment
value-favourable = favourable
value-fund = fund
value-high = high
value-low = low
value-medium = medium
value-none = none
value-nominative-call-metrics = nominative call metrics
value-open = open
value-range = { $low } to { $high }
value-region = region
value-reserved = reserved
value-unfavourable = unfavourable
yes = yes

nav-signin = Sign in
nav-signout = Sign out
signed-citizen = My page
signed-demo = Demonstration: this sign-in proves nothing.
signin-demo = Demonstration sign-in
signin-demo-note = On this machine only. No identity is checked: choose a role to see what it sees.
signin-home-citizen = /me
signin-home-controller = /controller
signin-home-regulator = /regulator
signin-intro = Each sees what concerns them: a person, who saw data about them; a controller, what it filed; the authority, the whole register.
signin-none = No identity provider is set on this server.
signin-person-citizen = The employee of the call-logs affair
signin-person-controller = The controller of the invented case
signin-person-regulator = The authority
signin-provider = Continue with the identity provider
signin-title = Sign in
leaving-go = Continue
leaving-intro = You are being taken to the identity provider. If nothing happens:
leaving-title = To the identity provider
growth-title = Growth, and what allowed it
growth-note = A site counts from the last day on which it may have been enrolled; it is allowed by act if the act that enrols it is in the register. Vertical lines: A, the controller’s act; F, a formality; D, a decision of the authority; lower case, described by a third party. A plan (P) allows nothing.
growth-table = Sites enrolled against formalities, decisions and plans
growth-mark = Mark
growth-event = Event
growth-recorded-then = Enrolled by then
growth-allowed-said = { $launches ->
    [0] No launch by its author’s own act
    [one] One launch by its author’s own act
   *[other] { $launches } launches by their author’s own act
 }; { $expansions ->
    [0] no expansion recorded
    [one] one expansion recorded ({ $sites } sites named)
   *[other] { $expansions } expansions recorded ({ $sites } sites named)
 }
growth-nothing-planned = No planned expansion is recorded.
growth-planned-by = { $n } sites, { $day }
growth-site = Site enrolled
sites-n = { $n ->
    [0] no site
    [one] { $n } site
   *[other] { $n } sites
 }
more-n = { $n ->
    [one] { $n } more is not shown here.
   *[other] { $n } more are not shown here.
 }
growth-allowed-then = Allowed by then
chart-allowed = Allowed by act
chart-sites-desc = On the last day of the chart: sites enrolled, { $n }; of them allowed by act, { $allowed }.
verdicts-mean = What each verdict means
moment = { $day } at { $clock } (UTC)
as-of-help = “Valid on”: what was in force that day. “Known on”: by the entries recorded up to that day alone.
claim-established = established
claim-refuted = refuted
findings-n = { $n ->
    [one] { $n } finding
   *[other] { $n } findings
 }
decision-no = no. { $n }
decision-since = Since then:
claim-CALLERS-NOT-INFORMED = callers were not told that their calls are recorded
claim-PURPOSE-INCOMPATIBLE = the data served an end foreign to the one they were processed for
claim-SUBJECTS-NOT-INFORMED = the persons were not informed beforehand
claim-WORKS-COUNCIL-NOT-CONSULTED = the works council was not consulted beforehand
