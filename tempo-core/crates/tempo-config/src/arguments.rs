//! The command line in Go's style: `-config.file=F`, `--config.file F`, `-target=all`, `-a.b.c=value`.

/// A command line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Something that is not a flag.
    #[error("'{0}' is not a flag; flags look like -config.file=tempo.yaml")]
    NotAFlag(String),
    /// A flag that needs a value.
    #[error("flag -{0} needs a value, like -{0}=...")]
    MissingValue(String),
    /// A flag that is true or false.
    #[error("flag -{flag} is true or false, not '{value}'")]
    NotBoolean {
        /// The flag.
        flag: String,
        /// What was given.
        value: String,
    },
}

/// What the command line says.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// `-config.file`.
    pub config_file: Option<String>,
    /// `-config.expand-env`.
    pub expand_environment: bool,
    /// `-config.verify`: check the configuration and end.
    pub verify: bool,
    /// `-version`: print the version and end.
    pub version: bool,
    /// `-help`: print the help and end.
    pub help: bool,
    /// Every other flag is the dotted path of a setting.
    pub settings: Vec<(String, String)>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub fn parse<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Result<Self, ArgumentError> {
        let mut arguments = Self::default();
        let mut words = words.into_iter().map(Into::into);
        while let Some(word) = words.next() {
            let flag = word
                .strip_prefix("--")
                .or_else(|| word.strip_prefix('-'))
                .filter(|flag| !flag.is_empty());
            let flag = flag.ok_or_else(|| ArgumentError::NotAFlag(word.clone()))?;
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (flag.to_owned(), None),
            };
            arguments.take(name, value, &mut words)?;
        }
        Ok(arguments)
    }

    fn take(
        &mut self,
        name: String,
        value: Option<String>,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), ArgumentError> {
        match name.as_str() {
            "config.expand-env" => self.expand_environment = boolean(&name, value.as_deref())?,
            "config.verify" => self.verify = boolean(&name, value.as_deref())?,
            "version" => self.version = boolean(&name, value.as_deref())?,
            "help" | "h" => self.help = true,
            // A flag of upstream's without any meaning for us.
            "mem-ballast-size-mbs" => {}
            _ => {
                let value = value
                    .or_else(|| rest.next())
                    .ok_or_else(|| ArgumentError::MissingValue(name.clone()))?;
                match name.as_str() {
                    "config.file" => self.config_file = Some(value),
                    "log.level" => self.settings.push(("server.log_level".to_owned(), value)),
                    "log.format" => self.settings.push(("server.log_format".to_owned(), value)),
                    _ => self.settings.push((name, value)),
                }
            }
        }
        Ok(())
    }
}

fn boolean(flag: &str, value: Option<&str>) -> Result<bool, ArgumentError> {
    match value {
        None | Some("true" | "1" | "t") => Ok(true),
        Some("false" | "0" | "f") => Ok(false),
        Some(value) => Err(ArgumentError::NotBoolean {
            flag: flag.to_owned(),
            value: value.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_style_flags_are_read() {
        let words = [
            "-config.file=a.yaml",
            "--target",
            "ingester",
            "-config.expand-env=true",
            "-log.level=debug",
            "-version",
        ];
        let arguments = Arguments::parse(words).unwrap();
        assert_eq!(arguments.config_file.as_deref(), Some("a.yaml"));
        assert!(arguments.expand_environment && arguments.version);
        let settings = [("target", "ingester"), ("server.log_level", "debug")];
        assert_eq!(
            arguments.settings,
            settings.map(|(path, value)| (path.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn mistakes_say_what_to_type() {
        assert_eq!(
            Arguments::parse(["all"]),
            Err(ArgumentError::NotAFlag("all".to_owned()))
        );
        assert_eq!(
            Arguments::parse(["-target"]),
            Err(ArgumentError::MissingValue("target".to_owned()))
        );
        assert!(Arguments::parse(["-config.verify=maybe"]).is_err());
    }
}
