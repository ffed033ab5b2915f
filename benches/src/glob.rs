//! Patterns for the names of programs: `*` is any run of characters, `?` is one, all else is itself.

/// Whether `name` as a whole is what `pattern` describes.
///
/// Only the last `*` is ever reconsidered, which is enough: an earlier one that took less leaves the later
/// ones at least as much choice. So the time is at most the product of the two lengths.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Behind the last `*`, and the first character of the name that it has not taken.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match &mut retry {
                Some((behind, taken)) => {
                    *taken += 1;
                    (p, n) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_describes_the_whole_name() {
        for (pattern, name) in [
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("kernel-*", "kernel-fib"),
            ("a*b*c", "aXbbYc"),
            ("?z2", "bz2"),
            ("*-hello", "python-hello"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("b", "ab"),
            ("", "a"),
            ("?", ""),
            ("a*b", "abc"),
            ("quicksort", "kernel-quicksort"),
            ("a*bc", "abcb"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
