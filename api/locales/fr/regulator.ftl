# Mots des pages de l’autorité.

chart-accesses = Accès par période et par constat actuel
chart-accesses-basis = Accès par période et par constat actuel : { $basis }
chart-accesses-desc = { $n ->
    [one] Une colonne, empilée par constat ; le tableau voisin donne chaque nombre.
   *[other] { $n } colonnes, une par période, empilées par constat ; le tableau voisin donne chaque nombre.
 }
chart-codes = Constatations par règle
chart-codes-desc = { $n ->
    [one] Une barre ; le tableau voisin donne chaque nombre.
   *[other] { $n } barres, une par règle, les plus fréquentes d’abord ; le tableau voisin donne chaque nombre.
 }
chart-codes-note = Constatations qui tiennent. Barre pleine : telles que faites à l’inscription ; barre creuse : apparues ou modifiées depuis.
date-unknown-short = sans date
event-AccessContested = Accès contesté
event-AccessDenied = Accès refusé
event-AccessGranted = Accès accordé
event-AccessRecorded = Accès signalé
event-ConsultationHeld = Consultation
event-ContestationAnswered = Réponse à une contestation
event-CourtRuling = Décision de justice
event-DataUsedAgainstSubject = Utilisation contre une personne
event-DecisionEnded = Fin d’une décision
event-DecisionRendered = Décision rendue
event-ErasureRefused = Effacement refusé
event-EvaluationPublished = Évaluation publiée
event-ExpansionPlanned = Extension prévue
event-ExperimentEnded = Expérimentation terminée
event-ExperimentExpanded = Extension
event-ExperimentLaunched = Expérimentation lancée
event-FormalityFiled = Formalité déposée
event-GeneralisationConditionMet = Condition remplie
event-GeneralisationConditionSet = Condition posée
event-GeneralisationDecided = Généralisation décidée
event-ImpactAssessmentFiled = Analyse d’impact
event-KeyEnrolled = Clé inscrite
event-KeyRevoked = Clé révoquée
event-LedgerKeyRotated = Changement de clé du registre
event-LedgerOpened = Ouverture du registre
event-MilestoneRecorded = Étape
event-PartyRegistered = Partie inscrite
event-ProcessingAmended = Traitement modifié
event-ProcessingDeclared = Traitement déclaré
event-ProcessingWithdrawn = Traitement retiré
event-ReceiptIssued = Récépissé délivré
event-ReferenceTextPublished = Texte de référence publié
event-SiteEnrolled = Établissement inscrit
event-StatementMade = Déclaration publique
event-SubjectAgreed = Accord d’une personne
event-SubjectErased = Effacement
event-SubjectObjected = Opposition d’une personne
event-SubjectsInformed = Personnes informées
event-SystemDeployed = Mise en service
event-WorksCouncilOpinion = Avis du comité d’entreprise
reg-about = Porte sur
reg-access = Accès
reg-accesses = Accès
reg-accesses-n = { $n ->
    [0] aucun accès
    [one] voir { $n } accès
   *[other] voir les { $n } accès
 }
reg-accesses-title = Recherche d’accès
reg-address = L’adresse de la page contient la recherche : elle se copie, se partage et se met en favori.
reg-agent = Agent
reg-all-accesses = Tous ces accès
reg-all-filed = Tout ce qu’elle a déposé
reg-any = Tous
reg-as-known = tel que connu à l’entrée
reg-audit = Journal
reg-audit-intro = Toutes les entrées, dans l’ordre où le registre les a reçues. Aucune n’est jamais réécrite.
reg-audit-title = Recherche dans le journal
reg-basis = Base invoquée
reg-by = par
reg-by-basis = Par base invoquée
reg-by-basis-note = Un accès qui invoque plusieurs bases compte dans chacune.
reg-by-controller = Constatations qui tiennent, par partie qui a communiqué les données
reg-cause = due à l’entrée
reg-cause-rules = les règles ont changé, pas le registre
reg-cells = { $n ->
    [one] { $n } case
   *[other] { $n } cases
 }
reg-changed-by = { $n ->
    [one] L’entrée qui a changé la réponse
   *[other] Les entrées qui ont changé la réponse
 }
reg-changes = Ce qui a changé
reg-channel = Canal
reg-clear = Tout effacer
reg-contested = contesté par l’entrée
reg-cost-direct = Coût direct
reg-cost-indirect = Coût indirect
reg-cost-total = Coût total
reg-costs = Coûts communiqués
reg-costs-note = Le coût indirect et le total sont des intervalles, selon le multiple annoncé au lancement de l’expérimentation.
reg-dossier = Dossier
reg-dossier-access = Dossier de l’accès
reg-dossier-accesses = Dossier d’une recherche d’accès
reg-dossier-check = Ce qui s’y vérifie
reg-dossier-check-1 = Chaque entrée : son maillon se recalcule à partir de ses octets, et la clé du registre a signé ce maillon à cette position.
reg-dossier-check-2 = Chaque dépôt : la signature de son auteur, et l’empreinte que l’entrée cite.
reg-dossier-check-3 = La dernière ligne : l’état signé du registre, qui montre que le fichier n’a pas été coupé.
reg-dossier-check-4 = Ce qui ne s’y vérifie pas : qu’aucune autre entrée ne répond à la recherche. L’export entier du registre le permet (greffe-verify).
reg-dossier-cut = (les premiers seulement : resserrer la recherche)
reg-dossier-experiment = Dossier de l’expérimentation
reg-dossier-holds = Le fichier contient les accès, les entrées sur lesquelles reposent leurs constats et les dépôts signés, une ligne chacun, dans l’ordre du registre. Les valeurs personnelles n’y sont pas : seulement leurs empreintes.
reg-dossier-lines = Dossier vérifiable (NDJSON)
reg-dossier-list = Accès du dossier
reg-dossier-more = { $n ->
    [one] { $n } autre accès est dans le fichier NDJSON.
   *[other] { $n } autres accès sont dans le fichier NDJSON.
 }
reg-dossier-page = Dossier à imprimer
reg-dossier-party = Dossier de la partie
reg-entries-of = Les entrées sur lesquelles reposent les deux réponses
reg-entry = Entrée
reg-errors = { $n ->
    [one] Un champ est à corriger ; rien n’est perdu.
   *[other] { $n } champs sont à corriger ; rien n’est perdu.
 }
reg-evidence = Source
reg-experiment-accesses = Accès dans le cadre de l’expérimentation
reg-field-as-of = Survenus au plus tard le
reg-field-basis = Base invoquée
reg-field-by = Déposé par
reg-field-category = Catégorie de données
reg-field-code = Règle
reg-field-discloser = Communiqué par
reg-field-experiment = Expérimentation
reg-field-finding = Constatation à l’inscription
reg-field-from = À partir du
reg-field-known-at = Tel que connu à
reg-field-now = Constat actuel
reg-field-party = Partie (dépôt, communication ou réception)
reg-field-processing = Traitement
reg-field-purpose = Finalité
reg-field-q = Mot, nom ou numéro
reg-field-recipient = Destinataire
reg-field-since = Apparue ou modifiée depuis le
reg-field-site = Établissement ou SIRET
reg-field-state = État
reg-field-stream = Objet
reg-field-to = Jusqu’au
reg-field-type = Nature
reg-field-verdict = Constat à l’inscription
reg-filed-by = Déposé par
reg-filing = Dépôt (empreinte)
reg-filters = Critères
reg-findings = Constatations
reg-findings-title = Tableau des constatations
reg-found-then = Constatations à l’inscription
reg-from = communiqué par
reg-gained = apparue depuis
reg-go = Chercher
reg-good-faith = L’accès était couvert le jour où il a été inscrit et n’a cessé de l’être que par un acte postérieur, rétroactif : qui s’y fiait ne pouvait pas le savoir.
reg-group = groupe :
reg-hint-known-at = Position, date AAAA-MM-JJ ou heure UTC
reg-hint-stream = Par exemple processing/anaiss
reg-intro = Les accès, les constatations et le journal entiers, en lecture seule. Ce qui est montré ici est ce que le registre constate : ce n’est pas une décision.
reg-its-entry = L’entrée telle que scellée
reg-key-live = en vigueur
reg-key-revoked = révoquée
reg-key-state = État
reg-known-at = Tel que connu à : { $known }.
reg-leaf = Feuille de l’entrée
reg-leaf-cut = La feuille est plus longue ; le dossier la contient entière.
reg-link-changed = Constatations apparues ou modifiées ces trente derniers jours
reg-link-contested = Accès contestés
reg-link-decisions = Décisions de l’autorité
reg-link-endings = Décisions annulées, retirées ou expirées
reg-link-keys = Clés révoquées
reg-link-lost-cover = Accès couverts alors, non couverts à présent
reg-link-motives = Motifs d’arrêt (TMS) communiqués
reg-link-not-covered = Accès non couverts à présent
reg-link-not-informed = Personnes non informées
reg-link-purpose-refused = Finalités refusées, et pourtant poursuivies
reg-link-refused = Demandes d’accès refusées
reg-link-small-cells = Effectifs trop petits pour être communiqués
reg-lost = levée depuis
reg-made-on = Établi le
reg-nav = Pages de l’autorité
reg-newest = Les plus récents d’abord
reg-no-change = Rien : la réponse d’alors tient encore.
reg-no-finding = Aucune constatation.
reg-no-formality = aucune formalité inscrite
reg-no-live-key = Aucune clé en vigueur : cette partie ne peut plus rien déposer.
reg-none = Rien ne répond à cette recherche. Cela ne dit rien de ce qui n’a jamais été déposé.
reg-not-judged = Sans constat
reg-now = À présent
reg-now-is-now = « Constat actuel » et « Tel que connu à » ne vont pas ensemble : retirer l’un des deux
reg-now-short = À présent
reg-oldest = Les plus anciens d’abord
reg-other-entries = Autres entrées
reg-other-time = Relire la réponse à un autre moment
reg-party-accesses = Ses accès
reg-party-accesses-note = Déposés, communiqués ou reçus.
reg-party-board = Ces constatations, une par une
reg-party-findings = Constatations sur ce qu’elle a communiqué
reg-period = Période des données
reg-period-col = Période
reg-persons = { $n ->
    [one] { $n } personne (référence dissimulée)
   *[other] { $n } personnes (références dissimulées)
 }
reg-prev = Maillon précédent
reg-print = la page s’imprime telle quelle
reg-public-page = page publique
reg-purpose = Finalité
reg-recorded = Inscrit le
reg-refused = refusé
reg-regime = Régime
reg-rests-on = Couvert par les entrées
reg-rests-on-nothing = aucune
reg-reweighed = réévaluée
reg-role = Qualité du destinataire
reg-rule = Règle
reg-rulebook = Règles appliquées
reg-save = Garder
reg-save-name = Garder cette recherche sous un nom
reg-saved = Recherches gardées dans ce navigateur
reg-saved-done = Gardée.
reg-saved-none = Aucune.
reg-saved-note = L’adresse d’une recherche la contient toute : un favori suffit. Les noms donnés ci-dessus restent dans ce navigateur.
reg-saved-remove = retirer
reg-sealed = Telle que scellée
reg-sealed-intro = Les octets ci-dessous sont ceux qui ont été enchaînés et signés. Les valeurs personnelles n’y figurent que par leur empreinte.
reg-search-label = Chercher dans le journal
reg-searches = Chercher
reg-severity = Gravité
reg-sides = Alors et à présent
reg-standing-findings = Constatations
reg-standings = Accès par constat, à l’inscription et à présent
reg-start = Vue d’ensemble
reg-state-changed = modifiée
reg-state-closed = levée
reg-state-open = ouverte
reg-states = Ouverte : tient telle que faite à l’inscription. Modifiée : apparue ou réévaluée depuis. Levée : ne tient plus.
reg-then = À l’inscription
reg-then-short = Alors
reg-tile-accesses = accès inscrits
reg-tile-changed = accès dont la réponse a changé depuis le { $since }
reg-tile-entries = entrées
reg-tile-news = constatations apparues, modifiées ou levées depuis le { $since }
reg-tile-open = constatations qui tiennent
reg-time = Heure d’inscription
reg-title = L’autorité
reg-to-newest = les plus récents d’abord
reg-to-oldest = les plus anciens d’abord
reg-total = Total
reg-valid-until = peut être servi jusqu’au
reg-verdict = Constat
reg-verdicts = Les accès
reg-weighed-then = évaluée alors :
reg-what = Ce qui a été communiqué
reg-when = Date
severity-BLOCKING = bloquante
severity-INFO = information
severity-MAJOR = majeure
severity-MINOR = mineure
verdict-mark-COVERED = C
verdict-mark-COVERED-WITH-RESERVATIONS = R
verdict-mark-NOT-COVERED = N
verdict-mark-UNDETERMINED = I
reg-generalisation-considered = généralisation envisagée ou soumise à conditions
reg-generalisations-note = Ces constatations ne portent sur aucun accès et n’ont pas d’historique : elles sont faites d’après ce qui est connu à présent, pour les généralisations décidées, envisagées ou soumises à conditions.
