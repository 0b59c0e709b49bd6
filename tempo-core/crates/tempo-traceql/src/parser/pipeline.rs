//! Stages between bars.

use super::Parser;
use super::operand::Operand;
use crate::ast::{
    AggregateFunction, Attribute, MetricsFunction, MetricsPipeline, MetricsQuery, Pipeline, SecondStage,
    Stage, Static,
};
use crate::error::QueryError;
use crate::lexer::TokenKind;

/// The metrics functions, and whether they take an attribute.
const METRICS: [(&str, bool); 9] = [
    ("rate", false),
    ("count_over_time", false),
    ("min_over_time", true),
    ("max_over_time", true),
    ("avg_over_time", true),
    ("sum_over_time", true),
    ("quantile_over_time", true),
    ("histogram_over_time", true),
    ("compare", false),
];

impl Parser<'_> {
    /// An operand and the stages after it.
    pub(super) fn stages(&mut self) -> Result<Operand, QueryError> {
        self.nested(|parser| {
            let mut whole = parser.first_stage()?;
            while parser.is("|") {
                parser.take_operator()?;
                whole = parser.next_stage(whole)?;
            }
            Ok(whole)
        })
    }

    fn first_stage(&mut self) -> Result<Operand, QueryError> {
        match self.splitting_stage()? {
            Some(stage) => Ok(Operand::Pipeline(Pipeline { stages: vec![stage] })),
            None => self.operand(0),
        }
    }

    fn next_stage(&mut self, before: Operand) -> Result<Operand, QueryError> {
        if let Some(stage) = self.second_stage()? {
            let metrics = before.into_metrics().map_err(|message| self.error(message))?;
            let series = MetricsQuery::SecondStage(metrics.into(), stage);
            return self.comparisons(series).map(Operand::Metrics);
        }
        if let Some(function) = self.metrics_function()? {
            let pipeline = before.into_pipeline().map_err(|message| self.error(message))?;
            let by = if self.take_word("by") {
                self.list(Self::attribute)?
            } else {
                Vec::new()
            };
            let series = MetricsQuery::Series(MetricsPipeline {
                pipeline,
                function,
                by,
            });
            return self.comparisons(series).map(Operand::Metrics);
        }
        let mut pipeline = before.into_pipeline().map_err(|message| self.error(message))?;
        if self.is_call("coalesce") {
            self.position += 2;
            self.expect(")")?;
            pipeline.stages.push(Stage::Coalesce);
            return Ok(Operand::Pipeline(pipeline));
        }
        if let Some(stage) = self.splitting_stage()? {
            pipeline.stages.push(stage);
            return Ok(Operand::Pipeline(pipeline));
        }
        let stage = self.operand(0)?;
        stage.after(pipeline).map_err(|message| self.error(message))
    }

    /// `by(...)` and `select(...)`, which may also come first.
    fn splitting_stage(&mut self) -> Result<Option<Stage>, QueryError> {
        if self.take_word("by") {
            self.expect("(")?;
            let by = self.expression(0)?;
            self.expect(")")?;
            return Ok(Some(Stage::By(by)));
        }
        if self.take_word("select") {
            return Ok(Some(Stage::Select(self.list(Self::attribute)?)));
        }
        Ok(None)
    }

    fn second_stage(&mut self) -> Result<Option<SecondStage>, QueryError> {
        for (name, make) in [
            ("topk", SecondStage::TopK as fn(i64) -> SecondStage),
            ("bottomk", SecondStage::BottomK),
        ] {
            if self.is_call(name) {
                self.position += 2;
                let TokenKind::Int(count) = *self.peek() else {
                    return Err(self.unexpected("a whole number"));
                };
                self.position += 1;
                self.expect(")")?;
                return Ok(Some(make(count)));
            }
        }
        Ok(None)
    }

    /// The comparisons right after a series: `rate() > 5`.
    pub(super) fn comparisons(&mut self, series: MetricsQuery) -> Result<MetricsQuery, QueryError> {
        let mut series = series;
        while let TokenKind::Symbol(symbol) = *self.peek() {
            let comparison = super::field::operator(symbol);
            let Some(operator) = comparison.filter(|operator| {
                !operator.is_arithmetic() && !operator.is_logical() && !operator.is_regex()
            }) else {
                break;
            };
            self.take_operator()?;
            let constant = self.constant()?;
            if constant.as_number().is_none() {
                return Err(self.error("series are compared with a number"));
            }
            series = MetricsQuery::SecondStage(series.into(), SecondStage::Filter(operator, constant));
        }
        Ok(series)
    }

    fn metrics_function(&mut self) -> Result<Option<MetricsFunction>, QueryError> {
        let Some((name, takes_attribute)) = METRICS.into_iter().find(|(name, _)| self.is_call(name)) else {
            return Ok(None);
        };
        self.position += 1;
        if name == "compare" {
            return self.compare().map(Some);
        }
        self.expect("(")?;
        let attribute = if takes_attribute {
            Some(self.attribute()?)
        } else {
            None
        };
        let mut quantiles = Vec::new();
        while name == "quantile_over_time" && self.take(",") {
            let quantile = self.constant()?.as_number();
            quantiles.push(quantile.ok_or_else(|| self.error("a quantile is a number"))?);
        }
        self.expect(")")?;
        Ok(function(name, attribute, quantiles))
    }

    fn compare(&mut self) -> Result<MetricsFunction, QueryError> {
        self.expect("(")?;
        let selection = self.spanset_filter()?;
        let mut numbers = Vec::new();
        while self.take(",") {
            match self.constant()? {
                Static::Int(number) => numbers.push(number),
                _ => return Err(self.error("compare() takes whole numbers after its filter")),
            }
        }
        self.expect(")")?;
        let (top, range) = match *numbers {
            [] => (None, None),
            [top] => (Some(top), None),
            [top, start, end] => (Some(top), Some((start, end))),
            _ => return Err(self.error("compare() takes a filter, a number, a start and an end")),
        };
        Ok(MetricsFunction::Compare {
            selection: selection.into(),
            top,
            range,
        })
    }

    /// The function that a word names, when it is called here.
    pub(super) fn aggregate_function(&self) -> Option<AggregateFunction> {
        [
            ("min", AggregateFunction::Min),
            ("max", AggregateFunction::Max),
            ("avg", AggregateFunction::Avg),
            ("sum", AggregateFunction::Sum),
        ]
        .into_iter()
        .find(|(name, _)| self.is_call(name))
        .map(|(_, function)| function)
    }
}

fn function(name: &str, attribute: Option<Attribute>, quantiles: Vec<f64>) -> Option<MetricsFunction> {
    Some(match (name, attribute) {
        ("rate", _) => MetricsFunction::Rate,
        ("count_over_time", _) => MetricsFunction::CountOverTime,
        ("min_over_time", Some(attribute)) => MetricsFunction::MinOverTime(attribute),
        ("max_over_time", Some(attribute)) => MetricsFunction::MaxOverTime(attribute),
        ("avg_over_time", Some(attribute)) => MetricsFunction::AvgOverTime(attribute),
        ("sum_over_time", Some(attribute)) => MetricsFunction::SumOverTime(attribute),
        ("quantile_over_time", Some(attribute)) => MetricsFunction::QuantileOverTime(attribute, quantiles),
        ("histogram_over_time", Some(attribute)) => MetricsFunction::HistogramOverTime(attribute),
        _ => return None,
    })
}
