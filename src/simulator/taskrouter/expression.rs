//! TaskRouter's expressions over attributes: `name == 'value' AND other.name != "x"`.
//!
//! In: the text of `EvaluateTaskAttributes` or `TargetWorkersExpression`. Out: whether an attributes object matches
//! it. The grammar is the part that a client needs for look-ups: `==`, `=`, `!=`, `CONTAINS`, `HAS`, `IN`, `AND`,
//! `OR`, parentheses, dotted names; strings, numbers, true, false, null. (Twilio: TaskRouter, "Expression syntax";
//! comparisons of order are not simulated.)

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Is(String, Value),
    IsNot(String, Value),
    /// The list or text under the name contains the value.
    Holds(String, Value),
    OneOf(String, Vec<Value>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Value(Value),
    Sign(&'static str),
}

impl Expression {
    /// Parses an expression. `None` if the text is not an expression of this grammar.
    pub(in crate::simulator) fn parse(text: &str) -> Option<Self> {
        let mut tokens = tokens(text)?;
        tokens.reverse();
        let expression = any(&mut tokens)?;
        tokens.is_empty().then_some(expression)
    }

    pub(in crate::simulator) fn holds(&self, attributes: &Value) -> bool {
        match self {
            Self::Is(name, value) => attribute(attributes, name) == Some(value),
            Self::IsNot(name, value) => attribute(attributes, name) != Some(value),
            Self::Holds(name, value) => match (attribute(attributes, name), value) {
                (Some(Value::Array(list)), value) => list.contains(value),
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                _ => false,
            },
            Self::OneOf(name, values) => {
                attribute(attributes, name).is_some_and(|value| values.contains(value))
            }
            Self::All(parts) => parts.iter().all(|part| part.holds(attributes)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(attributes)),
        }
    }

    /// A name and a text that it must be equal to for a match, if there is such a condition.
    pub(super) fn marker(&self) -> Option<(&str, &str)> {
        match self {
            Self::Is(name, Value::String(text)) => Some((name, text)),
            Self::All(parts) => parts.iter().find_map(Self::marker),
            _ => None,
        }
    }

    /// The text that `name` must be equal to, if that is the only condition.
    pub(super) fn equality(&self, name: &str) -> Option<&str> {
        match self {
            Self::Is(found, Value::String(text)) if found == name => Some(text),
            _ => None,
        }
    }
}

/// The value of a dotted name, or of a key with dots in it.
pub(super) fn attribute<'a>(attributes: &'a Value, name: &str) -> Option<&'a Value> {
    attributes.get(name).or_else(|| {
        name.split('.')
            .try_fold(attributes, |value, part| value.get(part))
    })
}

/// `tokens` are in reverse order: the next token is the last.
fn any(tokens: &mut Vec<Token>) -> Option<Expression> {
    let mut parts = vec![all(tokens)?];
    while take_word(tokens, "or") || take_sign(tokens, "||") {
        parts.push(all(tokens)?);
    }
    Some(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Expression::Any(parts)
    })
}

fn all(tokens: &mut Vec<Token>) -> Option<Expression> {
    let mut parts = vec![comparison(tokens)?];
    while take_word(tokens, "and") || take_sign(tokens, "&&") {
        parts.push(comparison(tokens)?);
    }
    Some(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Expression::All(parts)
    })
}

fn comparison(tokens: &mut Vec<Token>) -> Option<Expression> {
    if take_sign(tokens, "(") {
        let inner = any(tokens)?;
        return take_sign(tokens, ")").then_some(inner);
    }
    // A constant on both sides, such as 1==1, is a queue's expression for all workers.
    if let Some(Token::Value(left)) = tokens.last().cloned() {
        tokens.pop();
        let equal = take_sign(tokens, "==").then(|| tokens.pop())??;
        return (equal == Token::Value(left)).then_some(Expression::All(Vec::new()));
    }
    let Token::Word(name) = tokens.pop()? else {
        return None;
    };
    match tokens.pop()? {
        Token::Sign("==" | "=") => Some(Expression::Is(name, value(tokens)?)),
        Token::Sign("!=") => Some(Expression::IsNot(name, value(tokens)?)),
        Token::Word(word) if word.eq_ignore_ascii_case("has") => {
            Some(Expression::Holds(name, value(tokens)?))
        }
        Token::Word(word) if word.eq_ignore_ascii_case("contains") => {
            Some(Expression::Holds(name, value(tokens)?))
        }
        Token::Word(word) if word.eq_ignore_ascii_case("in") => {
            Some(Expression::OneOf(name, list(tokens)?))
        }
        _ => None,
    }
}

fn value(tokens: &mut Vec<Token>) -> Option<Value> {
    match tokens.pop()? {
        Token::Value(value) => Some(value),
        _ => None,
    }
}

fn list(tokens: &mut Vec<Token>) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    if !take_sign(tokens, "[") {
        return None;
    }
    loop {
        values.push(value(tokens)?);
        if take_sign(tokens, "]") {
            return Some(values);
        }
        if !take_sign(tokens, ",") {
            return None;
        }
    }
}

fn take_word(tokens: &mut Vec<Token>, word: &str) -> bool {
    let found =
        matches!(tokens.last(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
    if found {
        tokens.pop();
    }
    found
}

fn take_sign(tokens: &mut Vec<Token>, sign: &str) -> bool {
    let found = matches!(tokens.last(), Some(Token::Sign(found)) if *found == sign);
    if found {
        tokens.pop();
    }
    found
}

const SIGNS: [&str; 10] = ["==", "!=", "&&", "||", "=", "(", ")", "[", "]", ","];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '\'' || first == '"' {
            let (text, after) = quoted(&rest[1..], first)?;
            tokens.push(Token::Value(Value::String(text)));
            rest = after;
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "=!&|()[],'\"".contains(c))
                .unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            tokens.push(word(&rest[..end]));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// The text up to the closing quote, and the rest after it. A backslash escapes the next character.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?.1),
            c if c == quote => return Some((out, &text[at + c.len_utf8()..])),
            c => out.push(c),
        }
    }
    None
}

fn word(text: &str) -> Token {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Token::Value(value),
        Err(_) => Token::Word(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_select_by_attributes() {
        let attributes = json!({"flexcast": "fc-1", "agent": {"name": "al 'x'"}, "n": 3,
            "skills": ["sms", "fax"], "a.b": "flat"});
        let table = [
            ("flexcast == 'fc-1'", Some(true)),
            ("flexcast=\"fc-1\"", Some(true)),
            ("flexcast = 'fc-2'", Some(false)),
            ("flexcast != 'fc-2' AND n == 3", Some(true)),
            ("flexcast == 'x' OR (n == 3 and n != 4)", Some(true)),
            (r"agent.name == 'al \'x\''", Some(true)),
            ("a.b == 'flat'", Some(true)),
            ("skills HAS 'fax'", Some(true)),
            ("skills HAS 'voice'", Some(false)),
            ("flexcast CONTAINS 'fc'", Some(true)),
            ("flexcast IN ['fc-1', 'fc-2']", Some(true)),
            ("missing == 'x'", Some(false)),
            ("1==1", Some(true)),
            ("flexcast ==", None),
            ("'open", None),
            ("flexcast == 'a' b", None),
        ];
        for (text, expected) in table {
            let found = Expression::parse(text).map(|e| e.holds(&attributes));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_equality_names_its_value() {
        let parsed = Expression::parse("contact_uri == 'client:alice'").expect("parses");
        assert_eq!(parsed.equality("contact_uri"), Some("client:alice"));
        assert_eq!(parsed.equality("name"), None);
    }
}
