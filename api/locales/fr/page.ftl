# Words of the pages and of the demonstration.

affair-then = alors
affair-now = à présent
affair-anaiss-title = ANAISS, 2005
affair-anaiss-question = Le 1er avril 2005, l’encadrement pouvait-il piloter les assistants sociaux avec les difficultés sociales de leurs usagers ?
affair-absence-motives-title = Motifs d’arrêt, 2017
affair-absence-motives-question = Le 20 novembre 2017, pouvait-on montrer à un employeur de Grenoble les troubles musculo-squelettiques de ses salariés ?
affair-call-monitoring-title = Relevés d’appels, 2022
affair-call-monitoring-question = L’employeur pouvait-il consulter, en 2022, les relevés d’appels d’une salariée ensuite licenciée ?
affair-case-management-title = Accompagnement des accidentés, 2013–2017
affair-case-management-question = Pouvait-on généraliser l’expérimentation en 2017 ?
affair-risk-index-title = Indice de risque, 2026
affair-risk-index-question = L’indice national de risque de désinsertion peut-il être généralisé ?
affair-annulment-title = Une autorisation annulée (cas inventé)
affair-annulment-question = Un accès couvert le jour même l’est-il encore quand l’autorisation est annulée rétroactivement ?

check-1 = Obtenir une copie complète du registre auprès de qui le tient :
check-2 = La vérifier sans réseau, avec la clé publique reçue par ailleurs :
check-3 = Comparer la dernière ligne affichée avec l’état ci-dessus : chaque signature, chaque maillon et chaque constat ont été recalculés.

demo-affairs = Les affaires, et leur réponse la plus nette :
demo-open = À ouvrir :
demo-try = À essayer :

evidence-contradicted = contredit
evidence-not-evidenced = non établi
evidence-uncertain = incertain

head-origin = Origine
head-size = Entrées
head-time = Dernière inscription
head-link = Maillon
head-key = Clé
head-signature = Signature

home-title = Qui a vu quoi, sur quel fondement, et qui l’avait autorisé
home-intro = Ce registre inscrit les traitements de données de santé au travail et de protection sociale, les décisions de l’autorité qui les contrôle, et chaque accès à ces données donné à un employeur ou à un service. De chaque accès, il dit s’il était couvert ou non, et pourquoi.
home-how = Aucune entrée n’est jamais réécrite : une donnée personnelle peut être effacée, son empreinte reste. Chaque entrée est signée par son auteur et scellée à la suite de la précédente ; la réponse donnée un jour peut être relue telle qu’elle était ce jour-là.
home-simulated = Démonstration : l’horloge est simulée ; les dates d’inscription sont celles des affaires rejouées.
home-affairs = Les affaires documentées
home-finding-not-ruling = Constat du registre, pas une décision : « non établi » veut dire que rien d’inscrit ne le montre ; « contredit », que quelque chose d’inscrit montre le contraire ; « incertain », que l’un et l’autre restent possibles.
home-entry = Entrée
home-more = Autres constatations :
home-changed-by = { $n ->
    [one] réponse changée par l’entrée
   *[other] réponse changée par les entrées
 }
home-register-entry = Fiche au registre
home-head = L’état du registre
home-head-intro = Qui garde cet état peut prouver plus tard qu’une entrée a été retirée ou modifiée.
home-check = Vérifier soi-même
home-read = Lire le registre

page-skip = Aller au contenu
page-languages = Langue
page-problems = Codes d’erreur
page-vocabulary = Vocabulaire
page-footer = Aucun traceur ; chaque page se lit sans script.

read-processings = Traitements
read-decisions = Décisions
read-experiments = Expérimentations
read-parties = Parties et clés
read-stats = Statistiques
read-head = État signé
read-rights = Le registre est public. Les accès, leurs constats et le journal se lisent avec un jeton : l’autorité lit tout ; une partie lit ce qu’elle a déposé, communiqué ou reçu.

verdict-COVERED = Couvert
verdict-COVERED-WITH-RESERVATIONS = Couvert avec réserves
verdict-NOT-COVERED = Non couvert
verdict-UNDETERMINED = Indéterminé
verdict-obstacles = Pas en l’état
verdict-free = Rien ne s’y oppose

as-json = Les mêmes faits en JSON
as-of-both = État du registre au { $day }, d’après ce qui était connu le { $known }.
as-of-day = Valable le
as-of-go = Afficher
as-of-known = État du registre d’après ce qui était connu le { $known }.
as-of-knowledge = Connu le
as-of-title = Lire le registre à une date
as-of-today = Revenir à ce qui est connu à présent
as-of-valid = État du registre au { $day }, d’après ce qui est connu à présent.

chart-day = Date
chart-planned = Prévus
chart-recorded = Inscrits
chart-sites = Établissements inscrits, permis et prévus

claim-denied = nié
claim-holds = affirmé

condition = Condition
condition-experimentation = Expérimentation préalable
condition-individual-data-protection = Protection des données individuelles
condition-is-met = remplie
condition-met = Remplie
condition-not-met = pas inscrite comme remplie
condition-scientific-validation = Validation scientifique
condition-set = Posée à l’entrée
condition-social-partners-concertation = Concertation approfondie avec les partenaires sociaux
condition-technical-prerequisites = Prérequis techniques dans les logiciels
conditions = Conditions :
conditions-title = Conditions de la généralisation

controller = Responsable
counted-agreements = Accords de personnes, inscrits
counted-objections = Oppositions de personnes, inscrites
counted-uses = Utilisations contre des personnes, inscrites

date-between = entre { $from } et { $to }
date-since = depuis le { $day }
date-unknown = date inconnue
date-until = { $day } au plus tard

decision-about = sur
decision-ended = { $how } (entrée { $position })
decision-no-outcome = Aucune suite par finalité n’est inscrite.
decision-number = Décision n° { $n }
decision-outcomes = Suite donnée à chaque finalité
decision-overall = Dans l’ensemble :

described = décrit par un tiers
described-long = décrit par un tiers : ne vaut pas formalité

entries-n = { $n ->
    [one] entrée
   *[other] entrées
 }
entry = entrée

experiment-no-site = Aucun établissement n’est inscrit.
experiment-sites = Établissements inscrits

fact-assessed = Analyse d’impact
fact-condition-met = Condition remplie
fact-condition-set = Condition posée
fact-consulted = Consultation
fact-decided = Décision
fact-declared = Déclaration du traitement
fact-deployed = Mise en service
fact-ended = Fin de l’expérimentation
fact-evaluated = Évaluation publiée
fact-expanded = Extension
fact-formality = Formalité
fact-generalised = Généralisation décidée
fact-informed = Information des personnes
fact-launched = Expérimentation lancée
fact-milestone = Étape
fact-opinion = Avis du comité d’entreprise
fact-planned = Extension prévue
fact-receipt = Récépissé
fact-ruled = Décision de justice
fact-stated = Déclaration publique
fact-withdrawn = Retrait

field-appeal = Appel
field-approximate = Nombre approximatif
field-audience = Personnes informées
field-awarded-cents = Somme allouée
field-by = Échéance
field-capabilities = Capacités
field-categories = Catégories de données
field-claims = Ce qui est dit
field-conclusions = Conclusions
field-condition = Condition
field-consulted-regulator = Autorité consultée
field-court = Juridiction
field-effective-from = Effet à compter de
field-end = Fin
field-establishes = Ce qui est établi
field-evaluation-planned = Évaluation annoncée
field-excludes-evidence = Preuve écartée
field-formality = Formalité
field-headcount-above = Effectif supérieur à
field-held = A eu lieu
field-high-risk = Risque élevé
field-identifiability = Forme des données
field-indirect-cost-permille = Coût indirect, en multiple du coût direct
field-kind = Nature
field-legal-basis = Base légale
field-means = Moyen
field-milestone = Étape
field-minimum-days = Durée minimale
field-monitors-staff = Surveille des salariés
field-number = Numéro
field-on = Objet
field-opinion = Avis
field-outcome = Issue
field-purposes = Finalités
field-reason = Motif
field-recipients = Destinataires
field-reference = Texte de référence
field-regions = Régions
field-residual-risk = Risque résiduel
field-security = Sécurité
field-sites = Établissements
field-special-basis = Exception pour les données sensibles
field-start = Début
field-step = Démarche
field-subjects = Personnes concernées
field-target-sites = Établissements visés
field-transfers = Transferts
field-unit = Unité
field-until = Terme
field-when = Date annoncée

key-enrolled = Inscrite à l’entrée
key-revoked = Révoquée à l’entrée

kind-act = acte de son auteur
kind-judgment = décision de justice
kind-press = presse
kind-receipt = récépissé
kind-statement = déclaration
kind-of-decision = Décision
kind-of-experiment = Expérimentation
kind-of-party = Partie
kind-of-processing = Traitement

milestone-appeal-reserved = Appel réservé
milestone-commissioned = Mission commandée
milestone-design-planned = Conception prévue
milestone-evaluation-planned = Évaluation prévue
milestone-feasibility-gate-set = Étude de faisabilité fixée comme préalable
milestone-generalisation-planned = Généralisation envisagée
milestone-indicator-reported = Indicateur rapporté
milestone-launch-planned = Lancement prévu
milestone-notified = Notification
milestone-offers-received = Offres reçues
milestone-predictive-equation-expected = Équation prédictive attendue
milestone-public-criticism = Critiques publiques
milestone-published = Publication
milestone-remediation-announced = Correction annoncée
milestone-tender-launched = Marché public lancé
milestone-trial-started = Essai commencé

month = { $n ->
    [1] janvier
    [2] février
    [3] mars
    [4] avril
    [5] mai
    [6] juin
    [7] juillet
    [8] août
    [9] septembre
    [10] octobre
    [11] novembre
   *[12] décembre
 }

home-newest = Déclarations et décisions, les dernières d’abord
nav-register = Registre
nav-search = Recherche
no = non
obstacles-title = Ce qui s’oppose à une généralisation
page-home = Accueil
page-nav = Rubriques
page-next = Suite
party-keys = Clés de signature
party-processings = Traitements dont elle répond
processing-declared = Ce qui est déclaré
recorded-on = inscrite le
register-intro = Les traitements, ce que l’autorité en a décidé, les expérimentations et les parties. Chaque fait porte l’entrée d’où il vient.

role-controller = responsable de traitement
role-court = juridiction
role-employer = employeur
role-observer = observateur
role-registrar = greffe
role-regulator = autorité
role-subject-desk = guichet des personnes
role-works-council = comité d’entreprise

rows-none = Rien n’est inscrit.
search-cut = Seuls les premiers sont montrés : préciser la recherche.
search-found = { $n ->
    [0] Rien au registre ne répond à cette recherche.
    [one] { $n } résultat
   *[other] { $n } résultats
 }
search-go = Chercher
search-help = Un traitement, une décision, une expérimentation ou une partie : par son nom, son numéro ou son identifiant.
search-label = Chercher au registre
site-commune = Commune
site-enrolled = Inscrit
site-headcount = Effectif
site-name = Établissement
timeline-none = Rien n’est inscrit à cette date.
timeline-note = Dans l’ordre des faits. Un trait pointillé marque ce qu’un tiers décrit : cela ne vaut pas acte de la partie compétente.
timeline-title = Chronologie
unknown = inconnu
valid-maybe = peut-être plus tard

value-closed = close
value-company = entreprise
value-days = { $n ->
    [one] { $n } jour
   *[other] { $n } jours
 }
value-establishment = établissement
value-favourable = favorable
value-fund = caisse
value-high = élevé
value-low = faible
value-medium = moyen
value-none = aucun
value-nominative-call-metrics = mesures d’appels nominatives
value-open = ouvert
value-range = de { $low } à { $high }
value-region = région
value-reserved = réservé
value-unfavourable = défavorable
yes = oui

nav-signin = Se connecter
nav-signout = Se déconnecter
signed-citizen = Mon espace
signed-demo = Démonstration : cette connexion ne prouve rien.
signin-demo = Connexion de démonstration
signin-demo-note = Sur cette machine seulement. Aucune identité n’est vérifiée : choisir un rôle pour voir ce qu’il voit.
signin-home-citizen = /me
signin-home-controller = /controller
signin-home-regulator = /regulator
signin-intro = Chacun voit ce qui le concerne : une personne, qui a vu des données sur elle ; un responsable, ce qu’il a déposé ; l’autorité, tout le registre.
signin-none = Aucun fournisseur d’identité n’est réglé sur ce serveur.
signin-person-citizen = La salariée de l’affaire des relevés d’appels
signin-person-controller = Le responsable de traitement du cas inventé
signin-person-regulator = L’autorité
signin-provider = Continuer avec le fournisseur d’identité
signin-title = Se connecter
leaving-go = Continuer
leaving-intro = Vous allez être conduit chez le fournisseur d’identité. Si rien ne se passe :
leaving-title = Vers le fournisseur d’identité
growth-title = Croissance, et ce qui la permettait
growth-note = Un établissement compte à partir du dernier jour où il a pu être inscrit ; il est permis par acte si l’acte qui l’inscrit est au registre. Traits verticaux : A, acte du responsable ; F, formalité ; D, décision de l’autorité ; en minuscule, ce qu’un tiers décrit. Un projet (P) ne permet rien.
growth-table = Établissements inscrits, en regard des formalités, des décisions et des projets
growth-mark = Repère
growth-event = Fait
growth-recorded-then = Inscrits alors
growth-allowed-said = { $launches ->
    [0] Aucun lancement par acte de son auteur
    [one] Un lancement par acte de son auteur
   *[other] { $launches } lancements par acte de leur auteur
 } ; { $expansions ->
    [0] aucune extension inscrite
    [one] une extension inscrite ({ $sites } établissements nommés)
   *[other] { $expansions } extensions inscrites ({ $sites } établissements nommés)
 }
growth-nothing-planned = Aucun projet d’extension n’est inscrit.
growth-planned-by = { $n } établissements, { $day }
growth-site = Établissement inscrit
sites-n = { $n ->
    [0] aucun établissement
    [one] { $n } établissement
   *[other] { $n } établissements
 }
more-n = { $n ->
    [one] { $n } autre n’est pas montré ici.
   *[other] { $n } autres ne sont pas montrés ici.
 }
growth-allowed-then = Permis alors
chart-allowed = Permis par acte
chart-sites-desc = Au dernier jour du graphique : établissements inscrits, { $n } ; dont permis par acte, { $allowed }.
verdicts-mean = Ce que veut dire chaque constat
moment = { $day } à { $clock } (UTC)
as-of-help = « Valable le » : ce qui était en vigueur ce jour-là. « Connu le » : d’après les seules entrées inscrites jusqu’à ce jour-là.
claim-established = établi
claim-refuted = démenti
findings-n = { $n ->
    [one] { $n } constatation
   *[other] { $n } constatations
 }
decision-no = n° { $n }
decision-since = Depuis :
claim-CALLERS-NOT-INFORMED = les appelants n’ont pas été prévenus que leurs appels sont enregistrés
claim-PURPOSE-INCOMPATIBLE = les données ont servi à une fin étrangère à celle pour laquelle elles étaient traitées
claim-SUBJECTS-NOT-INFORMED = les personnes n’ont pas été informées au préalable
claim-WORKS-COUNCIL-NOT-CONSULTED = le comité d’entreprise ou le CSE n’a pas été consulté au préalable
