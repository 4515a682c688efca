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

    /// Finds a format by its content type.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| content_type == format.content_type())
    }

    /// Finds a format by its name or its content type.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| text == format.name() || text == format.content_type())
    }
}

/// The formats that a worker reads, and perhaps one more that it hands on unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    formats: Vec<Format>,
    unread: Option<String>,
}

/// JSON alone, as Celery.
impl Default for Accept {
    fn default() -> Self {
        Self::new(&[Format::Json])
    }
}

impl Accept {
    /// Accepts these.
    #[must_use]
    pub fn new(formats: &[Format]) -> Self {
        let all = Format::ALL.into_iter();
        Self {
            formats: all.filter(|format| formats.contains(format)).collect(),
            unread: None,
        }
    }

    /// Accepts bodies of another content type as well, for a task that reads them itself.
    #[must_use]
    pub fn and_unread(&self, content_type: &str) -> Self {
        Self {
            formats: self.formats.clone(),
            unread: Some(content_type.to_owned()),
        }
    }

    /// Tells whether bodies of a content type are handed on unread.
    #[must_use]
    pub fn leaves_unread(&self, content_type: &str) -> bool {
        self.unread.as_deref() == Some(content_type)
    }

    /// Accepts every format there is.
    #[must_use]
    pub fn all() -> Self {
        Self::new(&Format::ALL)
    }

    /// Returns what is accepted, each format once.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }
}
