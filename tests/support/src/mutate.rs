//! Hostile inputs: good ones, changed by a script of edits.
//!
//! A script is any bytes. Whoever chooses it, at random or led by what code it reaches,
//! chooses nothing but bytes, and the same script is always the same input.

/// Longest input that repeating makes, bytes (1 MiB): deeper than any recursion bears.
const LONGEST: usize = 1 << 20;
/// Longest script, bytes; what follows is not looked at.
pub const SCRIPT_BYTES: usize = 256;
/// Bytes that begin, end or bound something in many formats.
const EDGES: [u8; 12] = [
    0, 1, 0x0a, 0x1b, 0x22, 0x2e, 0x5b, 0x7b, 0x7f, 0x80, 0xfe, 0xff,
];

/// Good inputs, and pieces that mean something in them.
#[derive(Debug, Clone)]
pub struct Corpus {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Corpus {
    /// Takes at least one input, and pieces.
    ///
    /// # Panics
    /// When there is no input.
    #[must_use]
    pub fn new(seeds: Vec<Vec<u8>>, words: &[&[u8]]) -> Self {
        assert!(!seeds.is_empty(), "there is nothing to change");
        Self {
            seeds,
            words: words.iter().map(|word| word.to_vec()).collect(),
        }
    }

    /// Chooses an input by the first bytes of a script, and changes it by the rest.
    #[must_use]
    pub fn changed(&self, script: &[u8]) -> Vec<u8> {
        let mut script = Script::new(script);
        let chosen = script.below(self.seeds.len());
        self.edited(self.seeds[chosen].clone(), &mut script)
    }

    /// Changes an input by a script.
    #[must_use]
    pub fn change(&self, input: &[u8], script: &[u8]) -> Vec<u8> {
        self.edited(input.to_vec(), &mut Script::new(script))
    }

    fn edited(&self, mut input: Vec<u8>, script: &mut Script<'_>) -> Vec<u8> {
        // One to ten, mostly few: what is changed everywhere is refused at its first byte.
        let byte = script.byte();
        for _ in 0..=(byte & 3) * (byte >> 2 & 3) {
            let Some(edit) = script.next() else { break };
            self.edit(&mut input, edit, script);
        }
        input
    }

    fn edit(&self, input: &mut Vec<u8>, edit: u8, script: &mut Script<'_>) {
        let at = script.below(input.len() + 1);
        match edit % 10 {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << (script.byte() % 8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = EDGES[script.below(EDGES.len())];
                }
            }
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = script.byte();
                }
            }
            3 | 4 => {
                let word = self.word(script);
                input.splice(at..at, word);
            }
            5 => {
                let word = self.word(script);
                let end = input.len().min(at + word.len());
                input.splice(at..end, word);
            }
            6 => drop(input.drain(range(at, input.len(), script))),
            7 => {
                let copied = input[range(at, input.len(), script)].to_vec();
                let to = script.below(input.len() + 1);
                input.splice(to..to, copied);
            }
            8 => repeat(input, at, script),
            _ => {
                let other = &self.seeds[script.below(self.seeds.len())];
                let from = script.below(other.len() + 1);
                let piece = other[range(from, other.len(), script)].to_vec();
                let end = range(at, input.len(), script).end;
                input.splice(at..end, piece);
            }
        }
    }

    fn word(&self, script: &mut Script<'_>) -> Vec<u8> {
        match self.words.len() {
            0 => vec![script.byte()],
            words => self.words[script.below(words)].clone(),
        }
    }
}

/// Nests, floods or grows: a piece up to 16,384 times.
fn repeat(input: &mut Vec<u8>, at: usize, script: &mut Script<'_>) {
    let range = at..input.len().min(at + 1 + script.below(24));
    let piece = input[range].to_vec();
    let room = LONGEST.saturating_sub(input.len()) / piece.len().max(1);
    let times = (1_usize << (script.byte() % 15)).min(room);
    input.splice(at..at, piece.repeat(times));
}

/// A piece of up to 255 bytes.
fn range(from: usize, length: usize, script: &mut Script<'_>) -> std::ops::Range<usize> {
    from..length.min(from + usize::from(script.byte()))
}

/// The choices that are left.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn new(script: &'a [u8]) -> Self {
        Self(&script[..script.len().min(SCRIPT_BYTES)])
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// A number below another that is not zero.
    fn below(&mut self, end: usize) -> usize {
        let whole = [0; 3].map(|_: u8| self.byte());
        let [a, b, c] = whole.map(usize::from);
        (a << 16 | b << 8 | c) % end
    }
}

/// Returns scripts that look chosen at random and are the same every time.
pub fn scripts(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x5eed_u64;
    let mut byte = move || {
        // xorshift64: every value but zero comes once before any comes again.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(move |_| {
        let length = 8 + usize::from(byte()) % 120;
        (0..length).map(|_| byte()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_always_the_same_input_and_most_are_different_ones() {
        let corpus = Corpus::new(vec![b"[1, {\"a\": \"b\"}]".to_vec()], &[b"null", b"["]);
        let inputs = || scripts(500).map(|script| corpus.changed(&script));
        assert!(inputs().eq(inputs()));
        let different: std::collections::BTreeSet<Vec<u8>> = inputs().collect();
        assert!(different.len() > 400, "{}", different.len());
        assert!(different.iter().any(|input| input.len() > 10_000));
        assert!(different.iter().all(|input| input.len() < 2 * LONGEST));
        assert_eq!(corpus.changed(b""), b"[1, {\"a\": \"b\"}]");
    }
}
