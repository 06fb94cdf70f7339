//! What a policy's implicit rewards say of held-out preferences.
//!
//! They say whether the preferences were learned, not whether the policy got better: both may part (`evaluate` tells).

use begat_schemas::DpoParams;

use super::super::preference::ReferenceLogps;
use super::super::training::{HeldOut, NamedFigures};
use crate::contract::StageResult;
use crate::data::ComparisonFile;
use crate::loss::preference::negative_log_sigmoid;
use crate::model::Model;

/// Held-out pairs with the reference's sums.
pub(super) struct HeldOutPreferences<'a> {
    file: ComparisonFile,
    reference: ReferenceLogps,
    params: &'a DpoParams,
}

impl<'a> HeldOutPreferences<'a> {
    pub(super) fn new(
        file: ComparisonFile,
        reference: ReferenceLogps,
        params: &'a DpoParams,
    ) -> Self {
        Self {
            file,
            reference,
            params,
        }
    }
}

impl HeldOut for HeldOutPreferences<'_> {
    /// The loss is that of the preferences alone.
    fn judge(&self, model: &Model, batch: usize, threads: usize) -> StageResult<NamedFigures> {
        let (file, params) = (&self.file, self.params);
        let (rows, mask) = (0..file.len(), params.mask_format_tokens);
        let policy = ReferenceLogps::of_rows(model, file, rows, mask, (batch * 2, threads))?;
        let (mut count, mut sums) = (0.0, [0.0; 7]);
        for row in 0..file.len() {
            for pair in file.pairs(row) {
                let [chosen, rejected] = [pair.better, pair.worse].map(|one| one as usize);
                let logps = [chosen, rejected].map(|one| policy.of(row, one));
                let rewards = [chosen, rejected]
                    .map(|one| params.beta * (policy.of(row, one) - self.reference.of(row, one)));
                let margin = rewards[0] - rewards[1];
                let smoothing = params.label_smoothing;
                let loss = (1.0 - smoothing) * negative_log_sigmoid(margin)
                    + smoothing * negative_log_sigmoid(-margin);
                let right = f64::from(u8::from(margin > 0.0));
                let figures = [
                    loss, rewards[0], rewards[1], right, margin, logps[0], logps[1],
                ];
                for (sum, figure) in sums.iter_mut().zip(figures) {
                    *sum += figure;
                }
                count += 1.0;
            }
        }
        let names = [
            "eval_loss",
            "eval_rewards/chosen",
            "eval_rewards/rejected",
            "eval_rewards/accuracies",
            "eval_rewards/margins",
            "eval_logps/chosen",
            "eval_logps/rejected",
        ];
        let means = sums.map(|sum| sum / count);
        Ok(names.into_iter().zip(means).collect())
    }

    fn prompt(&self, number: usize) -> Option<Vec<u32>> {
        let prompt = self.file.prompt(number % self.file.len());
        (!prompt.is_empty()).then_some(prompt)
    }
}
