//! The arithmetic of the table, without a notion of engines: medians, spreads, geometric means.

use serde::Serialize;

/// What is said of a handful of measurements of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Sums up; `None` if there is nothing to sum up.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, min, max })
    }

    /// Half the distance between the extremes, as a share of the median: how far to trust it. With the few
    /// runs of a comparison this says more than a deviation, which would rest on two or three numbers.
    pub fn spread(&self) -> f64 {
        if self.median > 0.0 { (self.max - self.min) / 2.0 / self.median } else { 0.0 }
    }
}

/// What is said of a column of ratios.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// Their geometric mean: the only mean for which A/B and B/A agree.
    pub geomean: f64,
    /// The largest.
    pub worst: f64,
    /// Whose it is.
    pub worst_program: String,
    /// How many there are.
    pub programs: usize,
}

impl Overall {
    /// Sums up the ratios of named programs; `None` if there is none.
    pub fn of<'a>(ratios: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Self> {
        let (mut logarithms, mut programs, mut worst) = (0.0, 0, None);
        for (name, ratio) in ratios {
            logarithms += ratio.ln();
            programs += 1;
            if worst.is_none_or(|(_, so_far)| ratio > so_far) {
                worst = Some((name, ratio));
            }
        }
        let (worst_program, worst) = worst?;
        let geomean = (logarithms / f64::from(programs)).exp();
        Some(Self { geomean, worst, worst_program: worst_program.to_owned(), programs: programs as usize })
    }
}

/// `ours` in units of `theirs`; `None` where a clock too coarse saw nothing at all.
pub fn ratio(ours: f64, theirs: f64) -> Option<f64> {
    (ours > 0.0 && theirs > 0.0).then(|| ours / theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one_in_whatever_order_they_came() {
        let summary = Summary::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!(summary, Summary { median: 2.0, min: 1.0, max: 9.0 });
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 100.0]).unwrap().median, 3.0);
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Overall::of([]), None);
    }

    #[test]
    fn the_spread_is_half_the_range_over_the_median() {
        assert_eq!(Summary::of([1.9, 2.0, 2.3]).unwrap().spread(), (2.3 - 1.9) / 4.0);
        assert_eq!(Summary::of([0.0, 0.0]).unwrap().spread(), 0.0);
    }

    #[test]
    fn twice_as_fast_and_twice_as_slow_cancel_out() {
        let overall = Overall::of([("a", 0.5), ("b", 2.0)]).unwrap();
        assert!((overall.geomean - 1.0).abs() < 1e-12);
        assert_eq!((overall.worst, overall.worst_program.as_str(), overall.programs), (2.0, "b", 2));
    }

    #[test]
    fn a_time_of_zero_has_no_ratio() {
        assert_eq!(ratio(1.0, 2.0), Some(0.5));
        assert_eq!(ratio(1.0, 0.0), None);
        assert_eq!(ratio(0.0, 1.0), None);
    }
}
