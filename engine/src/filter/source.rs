//! The text of an expression, bounded before anything recursive reads it, and the places that faults name.

use cel::parser::pratt_parser::{Lexer, Token, TokenKind};

/// The most words, numbers, strings and signs of an expression. No expression has more nodes, or is nested deeper.
pub const MAX_TOKENS: usize = 500;
/// The deepest nesting of brackets of all kinds. The parser recurses some twenty calls for each.
pub const MAX_NESTING: usize = 16;

/// A text that is safe to parse, and its tokens.
pub(super) struct Source<'s> {
    pub(super) text: &'s str,
    tokens: Vec<Token>,
}

impl<'s> Source<'s> {
    /// Reads `text`, whose length is bounded. `Err` is what is wrong with it, and where. Iterative, as the
    /// parser's lexer is.
    pub(super) fn read(text: &'s str) -> Result<Self, String> {
        let mut source = Self { text, tokens: Vec::new() };
        let mut lexer = Lexer::new(text);
        let mut nesting = 0_usize;
        loop {
            let token = lexer.lex();
            match token.kind {
                TokenKind::TokEnd => break,
                TokenKind::TokWhitespace | TokenKind::TokComment => continue,
                TokenKind::TokError => {
                    let message = lexer.get_error().map_or("unexpected character", |error| error.message.as_str());
                    return Err(source.fault(token.start, message));
                }
                TokenKind::TokEqual => return Err(source.fault(token.start, "compare with ==")),
                TokenKind::TokBytes => {
                    return Err(source.fault(token.start, "bytes are not supported: write a string"));
                }
                TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => nesting += 1,
                TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                    nesting = nesting.saturating_sub(1);
                }
                _ => {}
            }
            if nesting > MAX_NESTING {
                return Err(source.fault(token.start, &format!("must not be nested more than {MAX_NESTING} deep")));
            }
            if source.tokens.len() == MAX_TOKENS {
                return Err(
                    source.fault(token.start, &format!("must have at most {MAX_TOKENS} words, values and signs"))
                );
            }
            source.tokens.push(token);
        }
        if source.tokens.is_empty() {
            return Err("must not be empty: leave it out".to_owned());
        }
        Ok(source)
    }

    /// `message` with the line and column of the byte at `at`, both from 1, in characters.
    pub(super) fn fault(&self, at: usize, message: &str) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {message}")
    }

    /// The byte at this line and column, both from 1, the column in bytes, as the parser counts.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let before: usize = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        before + column - 1
    }

    /// `message` with the place where `name` is first used as a variable or a function.
    pub(super) fn fault_of(&self, name: &str, message: &str) -> String {
        let kind_at = |index: usize| self.tokens.get(index).map(|token| token.kind);
        let place = self.tokens.iter().enumerate().position(|(index, token)| {
            let is_field = index > 0
                && kind_at(index - 1) == Some(TokenKind::TokDot)
                && kind_at(index + 1) != Some(TokenKind::TokLeftParen);
            self.text.get(token.start..token.end) == Some(name) && !is_field
        });
        match place.and_then(|index| self.tokens.get(index)) {
            Some(token) => self.fault(token.start, message),
            None => message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Source::read(text).map(|_| ()).expect_err(text)
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused_before_it_is_parsed() {
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Source::read(&nested(16)).is_ok());
        assert_eq!(refused(&nested(17)), "line 1, column 17: must not be nested more than 16 deep");
        assert_eq!(refused(&"[{(".repeat(100)), "line 1, column 17: must not be nested more than 16 deep");
        assert!(Source::read(&"1 ".repeat(500)).is_ok());
        assert_eq!(refused(&"1 ".repeat(501)), "line 1, column 1001: must have at most 500 words, values and signs");
        assert!(Source::read(&format!("'{}'", "(".repeat(1000))).is_ok(), "strings do not nest");
        assert!(Source::read(&format!("1 // {}", "(".repeat(1000))).is_ok(), "comments do not nest");
    }

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        assert_eq!(refused("'é' ==\n  'ü' @"), "line 2, column 7: unexpected character");
        let source = Source::read("a.nope == 'nope' &&\n nope").unwrap();
        assert_eq!(source.fault_of("nope", "what?"), "line 2, column 2: what?");
        assert_eq!(source.fault_of("other", "what?"), "what?");
    }

    #[test]
    fn an_empty_text_is_refused() {
        for text in ["", " \n", "// nothing"] {
            assert_eq!(refused(text), "must not be empty: leave it out");
        }
    }
}
