//! The formats of a message's body.

/// A format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, with kombu's own values.
    Json,
    /// YAML, the safe part of it.
    Yaml,
    /// MessagePack.
    Msgpack,
    /// Python's pickle, plain data only.
    Pickle,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Yaml, Self::Msgpack, Self::Pickle];

    /// Its name in kombu and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Msgpack => "msgpack",
            Self::Pickle => "pickle",
        }
    }

    /// Its content type, as kombu writes it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/x-yaml",
            Self::Msgpack => "application/x-msgpack",
            Self::Pickle => "application/x-python-serialize",
        }
    }

    /// Finds a format by its name or its content type.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| text == format.name() || text == format.content_type())
    }
}

/// The formats that a worker reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Vec<Format>);

/// JSON alone, as Celery.
impl Default for Accept {
    fn default() -> Self {
        Self(vec![Format::Json])
    }
}

impl Accept {
    /// Accepts these.
    #[must_use]
    pub fn new(formats: &[Format]) -> Self {
        let all = Format::ALL.into_iter();
        Self(all.filter(|format| formats.contains(format)).collect())
    }

    /// Accepts every format there is.
    #[must_use]
    pub fn all() -> Self {
        Self::new(&Format::ALL)
    }

    /// Returns what is accepted, each format once.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.0
    }
}
