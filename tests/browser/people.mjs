// Invented people of the identity provider, with the claims that FranceConnect gives.
//
// `complete: false` marks who cannot be known by what the provider says of them.

export const PEOPLE = {
  // Born in a commune: its INSEE code, and the code of France.
  salariee: {
    label: 'Une salariée',
    given_name: 'Exemple Premier',
    family_name: 'Invention',
    gender: 'female',
    birthdate: '1980-02-29',
    birthplace: '38185',
    birthcountry: '99100',
  },
  // Born abroad: no commune, and the code of the country.
  etranger: {
    label: 'Une personne née à l’étranger',
    given_name: 'Deuxième',
    family_name: 'Invention',
    gender: 'male',
    birthdate: '1975-12-01',
    birthplace: '',
    birthcountry: '99134',
  },
  incomplete: {
    label: 'Une personne sans date de naissance',
    given_name: 'Troisième',
    family_name: 'Invention',
    gender: 'female',
    birthplace: '38185',
    birthcountry: '99100',
  },
  // FranceConnect writes so a day that the civil registry does not know.
  'sans-jour': {
    label: 'Une personne dont le jour de naissance n’est pas connu',
    given_name: 'Quatrième',
    family_name: 'Invention',
    gender: 'female',
    birthdate: '1950-00-00',
    birthplace: '38185',
    birthcountry: '99100',
  },
  agent: { label: 'Une agente de la caisse', greffe_party: 'caisse' },
  autorite: { label: 'Un agent de l’autorité', greffe_party: 'cnil' },
  inconnu: { label: 'Un agent d’un organisme inconnu', greffe_party: 'nulle-part' },
};
