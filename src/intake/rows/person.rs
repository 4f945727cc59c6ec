//! Finds the columns of the customer's name and joins its parts.
//!
//! In: the names of the columns, and a row's cells. Out: the column of the whole name or the columns of its parts;
//! the name. Always: an ambiguous word (`Name`, `Nom`, `Nombre`) gets its meaning from the other columns, and a
//! first name is not repeated.

/// Headers of the whole name, the preferred one first.
const WHOLE: &[&str] = &[
    "full_name",
    "fullname",
    "customer_name",
    "customername",
    "contact_name",
    "contactname",
    "person_name",
    "vollstandiger_name",
    "kundenname",
    "nom_complet",
    "nom_et_prenom",
    "nombre_completo",
    "nombre_y_apellidos",
    "nome_completo",
    "nome_e_cognome",
    "volledige_naam",
    "氏名",
    "お名前",
    "名前",
];
/// Headers of the whole name, or of one part if another column has the other part.
const EITHER: &[&str] = &["name", "nom", "nombre", "nome", "naam"];
const FIRST: &[&str] = &[
    "first_name",
    "firstname",
    "given_name",
    "givenname",
    "person_first_name",
    "vorname",
    "prenom",
    "primer_nombre",
    "primeiro_nome",
    "voornaam",
    "名",
];
const LAST: &[&str] = &[
    "last_name",
    "lastname",
    "family_name",
    "familyname",
    "surname",
    "person_last_name",
    "nachname",
    "familienname",
    "nom_de_famille",
    "apellidos",
    "apellido",
    "primer_apellido",
    "sobrenome",
    "apelido",
    "cognome",
    "achternaam",
    "姓",
];
/// The header of a family name that comes before the given name.
const LAST_IS_FIRST: &str = "姓";

/// Headers that can only mean the customer's name; their column is not also an attribute.
const PLAIN: &[&str] = &["name", "full_name", "customer_name", "contact_name"];

/// Whether templates can use a column of this name only as `customer.name`.
pub(in crate::intake) fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name)
}

/// The columns of the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NameColumns {
    /// The columns of the whole name, the preferred one first.
    Whole(Vec<usize>),
    /// The columns of its parts, in the order of the name.
    Parts(Vec<usize>),
}

impl NameColumns {
    /// Finds the columns of the name; `names` are folded.
    pub(in crate::intake) fn among(names: &[String]) -> Self {
        let all = |known: &[&str]| -> Vec<usize> {
            let place = |known: &&str| names.iter().position(|name| name == known);
            known.iter().filter_map(place).collect()
        };
        let (mut whole, either) = (all(WHOLE), all(EITHER));
        let (first, last) = (all(FIRST), all(LAST));
        let parts = match (either.first(), first.first(), last.first()) {
            (Some(either), Some(first), None) => [Some(*first), Some(*either)],
            (Some(either), None, Some(last)) => [Some(*either), Some(*last)],
            (None, first, Some(last)) if names[*last] == LAST_IS_FIRST => {
                [Some(*last), first.copied()]
            }
            (_, first, last) => [first.copied(), last.copied()],
        };
        let has_whole_either = first.is_empty() == last.is_empty();
        if has_whole_either {
            whole.splice(..0, either);
        }
        match whole.is_empty() {
            true => Self::Parts(parts.into_iter().flatten().collect()),
            false => Self::Whole(whole),
        }
    }
}

/// Joins the parts of a name. A part that another part contains is left out: `Ann` beside `Ann Lee`.
pub(in crate::intake) fn joined(parts: &[&str]) -> String {
    let holds = |whole: &str, part: &str| {
        whole.len() > part.len()
            && whole
                .match_indices(part)
                .any(|(at, _)| is_word(whole, at, at + part.len()))
    };
    let is_said = |part: &str| parts.iter().any(|other| holds(other, part));
    let said: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !is_said(part))
        .collect();
    said.join(" ")
}

fn is_word(text: &str, start: usize, end: usize) -> bool {
    let is_end = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    is_end(text[..start].chars().next_back()) && is_end(text[end..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::NameColumns::{Parts, Whole};
    use super::*;

    #[test]
    fn a_word_that_means_either_is_what_the_columns_beside_it_make_of_it() {
        let table = [
            ("phone,name", Whole(vec![1])),
            ("full_name,name", Whole(vec![1, 0])),
            ("first_name,last_name", Parts(vec![0, 1])),
            ("last_name,first_name", Parts(vec![1, 0])),
            ("name,given_name,family_name", Whole(vec![0])),
            ("vorname,name", Parts(vec![0, 1])),
            ("nom,prenom", Parts(vec![1, 0])),
            ("nombre,apellidos", Parts(vec![0, 1])),
            ("nome,sobrenome", Parts(vec![0, 1])),
            ("nome", Whole(vec![0])),
            ("full_name,vorname,name", Whole(vec![0])),
            ("last_name", Parts(vec![0])),
            ("名,姓", Parts(vec![1, 0])),
            ("名,姓,名前", Whole(vec![2])),
            ("phone", Parts(vec![])),
        ];
        for (header, expected) in table {
            let names: Vec<_> = header.split(',').map(str::to_owned).collect();
            assert_eq!(NameColumns::among(&names), expected, "{header}");
        }
    }

    #[test]
    fn a_first_name_is_not_said_twice() {
        let table: [(&[&str], &str); 7] = [
            (&["Ann", "Lee"], "Ann Lee"),
            (&["Ann", "Ann Lee"], "Ann Lee"),
            (&["María García", "García"], "María García"),
            (&["Ann", "Annan"], "Ann Annan"),
            (&["Ann", "Ann"], "Ann Ann"),
            (&["Zoë"], "Zoë"),
            (&[], ""),
        ];
        for (parts, expected) in table {
            assert_eq!(joined(parts), expected, "{parts:?}");
        }
    }
}
