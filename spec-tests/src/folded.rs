//! Folded instructions of the legacy exceptions, `(try (do …) (catch $t …))`, which the parser no longer knows.
//!
//! [`unfold`] makes plain instructions of them, which the parser still takes: `try … catch $t … end`. A folded
//! instruction that holds another is unfolded with it, as plain instructions cannot stand among its operands;
//! all else in a script stays as it is. Tokens are moved or taken out and never a line end among them, so that
//! every directive stays in its line. Modules in quotes are strings here: those of the suite are malformed.

use std::borrow::Cow;

use wast::Error;
use wast::lexer::{Lexer, Token, TokenKind};
use wast::token::Span;

/// What a parenthesis after the name of a plain instruction or of an `if` starts with, if it is no operand.
const IMMEDIATES: &[&str] = &["type", "param", "result", "ref"];

/// `text` without folded instructions that have a `try` in them.
///
/// # Errors
/// There is one that the grammar has no rule for, or `text` is not made of tokens.
pub fn unfold(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.contains("try") {
        return Ok(text.into());
    }
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let tokens: Vec<Token> = lexer.iter(0).collect::<Result<_, _>>()?;
    let holds_try = groups_with_try(text, &tokens);
    if !holds_try.contains(&true) {
        return Ok(text.into());
    }
    let mut unfolding =
        Unfolding { text, tokens: &tokens, at: 0, holds_try, groups: Vec::new(), out: String::new() };
    unfolding.run()?;
    Ok(unfolding.out.into())
}

/// For each token whether it is the parenthesis of a folded `try`, or one around that.
fn groups_with_try(text: &str, tokens: &[Token]) -> Vec<bool> {
    let mut holds_try = vec![false; tokens.len()];
    let mut open = Vec::new();
    let mut after_parenthesis = false;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !is_space(token)) {
        match token.kind {
            TokenKind::LParen => open.push(at),
            TokenKind::RParen => drop(open.pop()),
            TokenKind::Keyword if after_parenthesis && token.src(text) == "try" => {
                for group in open.iter().rev() {
                    // So are those around it.
                    if std::mem::replace(&mut holds_try[*group], true) {
                        break;
                    }
                }
            }
            _ => {}
        }
        after_parenthesis = token.kind == TokenKind::LParen;
    }
    holds_try
}

fn is_space(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment)
}

/// What is in parentheses, and what becomes of them.
enum Group<'a> {
    /// They stay. The body of a function has instructions in it.
    Kept { function: bool },
    /// A plain instruction, which goes behind its operands.
    Plain(String),
    /// A `block`, `loop` or `try_table`: an `end` goes behind it.
    Block,
    /// An `if`, until its condition is written and the `then` there.
    Condition(String),
    /// An `if`, from its `then` on.
    Arms,
    /// A `try`, and the name of its last clause.
    Try(Option<&'a str>),
    /// A clause of an `if` or a `try`: they go.
    Clause,
}

struct Unfolding<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// The next token.
    at: usize,
    /// By token, what [`groups_with_try`] says.
    holds_try: Vec<bool>,
    /// The parentheses that are open, from outside.
    groups: Vec<Group<'a>>,
    out: String,
}

impl<'a> Unfolding<'a> {
    fn run(&mut self) -> Result<(), Error> {
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                TokenKind::LParen => self.open()?,
                TokenKind::RParen => self.close()?,
                _ => self.copy(),
            }
        }
        Ok(())
    }

    /// A parenthesis opens.
    fn open(&mut self) -> Result<(), Error> {
        let holds_try = self.holds_try[self.at];
        let name = self.name();
        match (self.groups.last_mut(), name) {
            (Some(Group::Condition(instruction)), "then") => {
                let instruction = std::mem::take(instruction);
                self.groups.pop();
                self.groups.push(Group::Arms);
                self.instead(&instruction);
                self.take_name();
                self.groups.push(Group::Clause);
            }
            (Some(Group::Arms), "else") => {
                self.instead("");
                self.groups.push(Group::Clause);
            }
            (Some(Group::Try(last)), "do" | "catch" | "catch_all" | "delegate") => {
                let follows = match name {
                    "do" => last.is_none(),
                    "delegate" => *last == Some("do"),
                    _ => matches!(last, Some("do" | "catch")),
                };
                if !follows {
                    return Err(self.unexpected());
                }
                *last = Some(name);
                self.instead("");
                if name == "do" {
                    self.take_name();
                }
                self.groups.push(Group::Clause);
            }
            // The type of the block.
            (Some(Group::Try(None)), _) if IMMEDIATES.contains(&name) => self.keep(false),
            (Some(Group::Arms | Group::Try(_)), _) => return Err(self.unexpected()),
            (None | Some(Group::Kept { function: false }), _) => self.keep(name == "func"),
            (Some(_), _) if holds_try => self.instruction(name),
            (Some(_), _) => self.keep(false),
        }
        Ok(())
    }

    /// A parenthesis opens before an instruction that is unfolded.
    fn instruction(&mut self, name: &str) {
        self.instead("");
        let group = match name {
            "try" => Group::Try(None),
            "block" | "loop" | "try_table" => Group::Block,
            "if" => Group::Condition(self.take_instruction()),
            _ => Group::Plain(self.take_instruction()),
        };
        if let Group::Try(_) | Group::Block = group {
            self.copy_name();
        }
        self.groups.push(group);
    }

    /// A parenthesis closes.
    fn close(&mut self) -> Result<(), Error> {
        match self.groups.pop() {
            None | Some(Group::Kept { .. }) => self.copy(),
            Some(Group::Plain(instruction)) => self.instead(&instruction),
            Some(Group::Clause | Group::Try(Some("delegate"))) => self.instead(""),
            Some(Group::Block | Group::Arms | Group::Try(Some(_))) => self.instead("end"),
            Some(Group::Condition(_) | Group::Try(None)) => return Err(self.unexpected()),
        }
        Ok(())
    }

    /// The next token goes into the output.
    fn copy(&mut self) {
        self.out += self.tokens[self.at].src(self.text);
        self.at += 1;
    }

    /// The next parenthesis and the other one stay.
    fn keep(&mut self, function: bool) {
        self.copy();
        self.groups.push(Group::Kept { function });
    }

    /// `words` go into the output in place of the next token.
    fn instead(&mut self, words: &str) {
        self.out.push(' ');
        self.out += words;
        self.out.push(' ');
        self.at += 1;
    }

    /// What the next parenthesis starts with.
    fn name(&self) -> &'a str {
        let name = self.tokens[self.at + 1..].iter().find(|token| !is_space(token));
        name.map_or("", |token| token.src(self.text))
    }

    /// Space goes into the output up to the next other token.
    fn copy_space(&mut self) {
        while self.tokens.get(self.at).is_some_and(is_space) {
            self.copy();
        }
    }

    fn copy_name(&mut self) {
        self.copy_space();
        self.copy();
    }

    /// Leaves out the name that a parenthesis starts with.
    fn take_name(&mut self) {
        self.copy_space();
        self.at += 1;
    }

    /// Leaves out an instruction with its immediates, up to its operands or the parenthesis at its end. Returns it.
    fn take_instruction(&mut self) -> String {
        let mut instruction = String::new();
        let mut depth = 0;
        loop {
            self.copy_space();
            let Some(token) = self.tokens.get(self.at) else { return instruction };
            match token.kind {
                TokenKind::LParen if depth > 0 || IMMEDIATES.contains(&self.name()) => depth += 1,
                TokenKind::RParen if depth > 0 => depth -= 1,
                TokenKind::LParen | TokenKind::RParen => return instruction,
                _ => {}
            }
            if !instruction.is_empty() {
                instruction.push(' ');
            }
            instruction += token.src(self.text);
            self.at += 1;
        }
    }

    fn unexpected(&self) -> Error {
        let span = Span::from_offset(self.tokens[self.at].offset);
        Error::new(span, "unexpected token among folded instructions".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the space, which may be any.
    fn unfolded(body: &str) -> String {
        let text = format!("(module (func $f (param i32) {body}))");
        let unfolded = unfold(&text).unwrap();
        let words: Vec<&str> = unfolded.split_whitespace().collect();
        let words = words.join(" ");
        let body = words.strip_prefix("(module (func $f (param i32) ").expect(&words);
        body.strip_suffix("))").expect(body).trim().to_string()
    }

    #[test]
    fn clauses_become_plain_instructions() {
        for (folded, plain) in [
            ("(try (do))", "try end"),
            (
                "(try $l (result i32) (do (i32.const 1)) (catch $e (i32.const 2)) (catch 0 nop) (catch_all (i32.const 3)))",
                "try $l (result i32) (i32.const 1) catch $e (i32.const 2) catch 0 nop catch_all (i32.const 3) end",
            ),
            (
                "(try(do(try(type $t)(do)(delegate $l)))(catch_all))",
                "try try(type $t) delegate $l catch_all end",
            ),
        ] {
            assert_eq!(unfolded(folded), plain, "{folded}");
        }
    }

    #[test]
    fn what_is_around_a_try_is_unfolded_operands_first() {
        const TRY: &str = "(try (result i32) (do (i32.const 1)))";
        const PLAIN: &str = "try (result i32) (i32.const 1) end";
        for (folded, plain) in [
            (format!("(i32.add (i32.const 2) {TRY})"), format!("(i32.const 2) {PLAIN} i32.add")),
            (format!("(i32.load $m offset=4 {TRY})"), format!("{PLAIN} i32.load $m offset=4")),
            (format!("(br_table 0 $l {TRY})"), format!("{PLAIN} br_table 0 $l")),
            (
                format!("(call_indirect $t (param i32) (result i32 i32) (i32.const 0) {TRY})"),
                format!("(i32.const 0) {PLAIN} call_indirect $t ( param i32 ) ( result i32 i32 )"),
            ),
            (
                format!("(ref.test (ref null (exact $t)) {TRY})"),
                format!("{PLAIN} ref.test ( ref null ( exact $t ) )"),
            ),
            (
                format!("(block $a (result i32) (loop $b (result i32) {TRY} (nop)))"),
                format!("block $a (result i32) loop $b (result i32) {PLAIN} (nop) end end"),
            ),
            (
                format!("(try_table $a (result i32) (catch $e 0) (catch_all 1) {TRY})"),
                format!("try_table $a (result i32) (catch $e 0) (catch_all 1) {PLAIN} end"),
            ),
            (format!("(if {TRY} (then (nop)) (else))"), format!("{PLAIN} if (nop) else end")),
            (
                format!("(if $l (result i32) (local.get 0) (then {TRY}) (else (i32.const 2)))"),
                format!("(local.get 0) if $l ( result i32 ) {PLAIN} else (i32.const 2) end"),
            ),
            (
                format!("(if (local.get 0) (then (drop {TRY}))) (if (local.get 0) (then (nop)))"),
                format!("(local.get 0) if {PLAIN} drop end (if (local.get 0) (then (nop)))"),
            ),
        ] {
            assert_eq!(unfolded(&folded), plain, "{folded}");
        }
    }

    #[test]
    fn every_line_stays_where_it_is() {
        let script = "(module (func ;; (try (do\n (drop (; two\nlines ;) (try ;; (\n (result\n i32)\n (do (i32.const ;; \"\n1))))))\n\
                      (assert_malformed (module quote \"(try\" ) \"(\")\n(module)";
        let unfolded = unfold(script).unwrap();
        let lines = |text: &str| text.lines().map(|line| line.matches(";;").count()).collect::<Vec<_>>();
        assert_eq!(lines(&unfolded), lines(script));
        assert!(
            unfolded.ends_with("(assert_malformed (module quote \"(try\" ) \"(\")\n(module)"),
            "{unfolded}"
        );
        let buffer = wast::parser::ParseBuffer::new(&unfolded).unwrap();
        wast::parser::parse::<wast::Wast<'_>>(&buffer).unwrap();
    }

    #[test]
    fn scripts_without_a_folded_try_are_not_touched() {
        for script in [
            "(module (func (block (try_table (catch_all 0)))))",
            "(module (func try nop catch_all end))",
            ";; (try\n(module quote \"(func (try (do)))\") (; (try ;)",
            "(module",
            ")",
        ] {
            assert!(matches!(unfold(script), Ok(Cow::Borrowed(same)) if same == script), "{script}");
        }
    }

    #[test]
    fn clauses_out_of_order_are_refused() {
        for body in [
            "(try)",
            "(try (result i32))",
            "(try (catch $e))",
            "(try (do) (do))",
            "(try (do) (nop))",
            "(try (nop) (do))",
            "(try (do) (catch_all) (catch $e))",
            "(try (do) (catch_all) (catch_all))",
            "(try (do) (catch $e) (delegate 0))",
            "(try (do) (delegate 0) (catch_all))",
            "(try (do) (delegate 0) (delegate 0))",
            "(if (try (do)))",
            "(if (then (try (do))) (nop))",
        ] {
            let text = format!("(module (func {body}))");
            assert!(unfold(&text).is_err(), "{body}");
        }
    }

    #[test]
    fn parentheses_that_do_not_match_are_left_to_the_parser() {
        for text in [
            "(func (try (do",
            "(func (try (do)))))",
            "(func (if (try",
            "(func (i32.add (try (do",
            "(func (",
            "(try",
        ] {
            if let Ok(unfolded) = unfold(text) {
                let buffer = wast::parser::ParseBuffer::new(&unfolded);
                assert!(
                    buffer.is_err() || wast::parser::parse::<wast::Wast<'_>>(&buffer.unwrap()).is_err(),
                    "{text}"
                );
            }
        }
    }
}
