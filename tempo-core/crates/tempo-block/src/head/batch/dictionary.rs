//! The dictionaries of several segments as one.

use std::sync::Arc;

use tempo_traceql::columns::Dictionary;

/// Dictionaries one after the other; codes of each go on where those of the one before end.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// With the first code of each.
    parts: Vec<(u32, Arc<dyn Dictionary>)>,
    length: u32,
}

impl Chain {
    /// The first code of what is added next.
    pub(super) fn next_code(&self) -> u32 {
        self.length
    }

    /// Adds a dictionary; what its codes are moved up by.
    pub(super) fn add(&mut self, dictionary: Arc<dyn Dictionary>) -> u32 {
        let first = self.length;
        self.length += dictionary.len() as u32;
        self.parts.push((first, dictionary));
        first
    }

    pub(super) fn into_dictionary(mut self) -> Arc<dyn Dictionary> {
        if self.parts.len() == 1
            && let Some((_, only)) = self.parts.pop()
        {
            return only;
        }
        Arc::new(self)
    }
}

impl Dictionary for Chain {
    fn len(&self) -> usize {
        self.length as usize
    }

    fn get(&self, code: u32) -> Option<&str> {
        let after = self.parts.partition_point(|(first, _)| *first <= code);
        let (first, dictionary) = self.parts.get(after.checked_sub(1)?)?;
        dictionary.get(code - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_on_from_part_to_part() {
        let mut chain = Chain::default();
        chain.add(Arc::new(vec!["a", "b"]));
        chain.add(Arc::new(Vec::<String>::new()));
        assert_eq!(chain.add(Arc::new(vec!["c"])), 2);
        let dictionary = chain.into_dictionary();
        let all: Vec<_> = (0..4).map(|code| dictionary.get(code)).collect();
        assert_eq!(all, [Some("a"), Some("b"), Some("c"), None]);
        assert_eq!(dictionary.len(), 3);
    }
}
