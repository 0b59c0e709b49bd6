//! Histograms with a bucket for each power of two, and quantiles of them.

/// Counts by the exponent of the bucket's upper bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram([u64; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Histogram {
    /// Counts a value; those below 2 have no bucket.
    pub(super) fn add(&mut self, value: i64) {
        let Some(above) = value.checked_sub(1).filter(|above| *above > 0) else {
            return;
        };
        // The smallest power of two that is not below the value.
        if let Some(count) = self.0.get_mut(above.ilog2() as usize + 1) {
            *count += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(&other.0) {
            *count += other;
        }
    }

    /// How many values the bucket up to `2^exponent` has.
    pub(super) fn count(&self, exponent: usize) -> u64 {
        self.0.get(exponent).copied().unwrap_or_default()
    }

    /// The exponents of the buckets.
    pub(super) fn exponents() -> std::ops::Range<usize> {
        0..64
    }

    /// The value below which a share of the values lies; `None` without values. At least one value counts, and parts of
    /// values count whole. It is interpolated exponentially between the bound of the bucket and that of the next lower
    /// one in use, as Tempo does, or half the bound when there is none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        if total == 0 || !(0.0..=1.0).contains(&share) {
            return None;
        }
        let wanted = ((share * total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let mut lower = None;
        for (exponent, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let upper = exponent as f64;
            if below + count >= wanted {
                let within = (wanted - below) as f64 / *count as f64;
                let lower = lower.unwrap_or(upper - 1.0);
                return Some((lower + (upper - lower) * within).exp2());
            }
            below += count;
            lower = Some(upper);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.add(*value);
        }
        histogram
    }

    #[test]
    fn a_bucket_holds_values_up_to_its_power_of_two() {
        let histogram = of(&[i64::MIN, -1, 0, 1, 2, 3, 4, 5, i64::MAX]);
        assert_eq!(
            [0, 1, 2, 3, 63].map(|exponent| histogram.count(exponent)),
            [0, 1, 2, 1, 1]
        );
    }

    #[test]
    fn quantiles_lie_between_the_bounds_of_buckets() {
        let histogram = of(&[5, 6, 7, 8]);
        assert_eq!(histogram.quantile(1.0), Some(8.0));
        assert_eq!(histogram.quantile(0.5), Some(2f64.powf(2.5)));
        assert_eq!(of(&[2, 7, 7]).quantile(0.6), Some(4.0));
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(histogram.quantile(1.5), None);
    }
}
