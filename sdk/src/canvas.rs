//! Tasks that belong together: chains, groups, chords, callbacks.

use crate::submit::{Job, SubmitError, When};
use crate::{Context, TaskError};

/// One task or several that belong together, as Celery's canvas knows them.
///
/// A [`Job`] is one by itself; [`chain!`](crate::chain!), [`group`] and [`chord`] make more of them.
///
/// ```
/// use celeriac_sdk::prelude::*;
/// use celeriac_sdk::{chain, chord, group};
///
/// #[task]
/// fn publish(ctx: &Context, photos: Vec<String>) -> Result<String, TaskError> {
///     let thumbnails = photos.iter().map(|photo| Job::new("images.thumbnail").arg(photo));
///     // All thumbnails at the same time, then the page with the list of their results.
///     let page = chord(thumbnails, Job::new("page.build").link_error(Job::new("mail.alarm")));
///     // One after another: each gets the result of the one before.
///     let all = chain![page, Job::new("page.upload"), Job::new("mail.send").arg("done").immutable()];
///     Ok(all.on_success(ctx)?)
/// }
///
/// let ctx = Context::test().build();
/// publish(&ctx, vec!["a.png".to_owned()])?;
/// assert_eq!(ctx.recording().submitted[0].task(), "celery.chain");
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is sent by `submit` or `on_success`"]
pub struct Signature {
    task: String,
    args: String,
    kwargs: String,
    options: Vec<(&'static str, String)>,
    links: Vec<String>,
    errlinks: Vec<String>,
    kind: &'static str,
    is_immutable: bool,
    wrong: Option<String>,
}

/// Tasks one after another: each gets the result of the one before as its first argument.
///
/// [`chain!`](crate::chain!) takes jobs and signatures mixed.
pub fn chain(steps: impl IntoIterator<Item = impl Into<Signature>>) -> Signature {
    several("celery.chain", "chain", steps)
}

/// Makes a [`chain`](crate::chain()) of jobs and signatures: `chain![first, second, third]`.
#[macro_export]
macro_rules! chain {
    ($($step:expr),+ $(,)?) => {
        $crate::chain([$($crate::Signature::from($step)),+])
    };
}

/// Tasks at the same time.
pub fn group(members: impl IntoIterator<Item = impl Into<Signature>>) -> Signature {
    several("celery.group", "group", members)
}

/// Tasks at the same time, and one that gets the list of their results when all are done.
pub fn chord(
    header: impl IntoIterator<Item = impl Into<Signature>>,
    body: impl Into<Signature>,
) -> Signature {
    let (header, body) = (group(header), body.into());
    let kwargs = format!(
        r#"{{"header":{},"body":{},"kwargs":{{}}}}"#,
        header.json(),
        body.json()
    );
    let wrong = header.wrong.or(body.wrong);
    Signature::canvas("celery.chord", "chord", kwargs, wrong)
}

fn several(
    task: &str,
    kind: &'static str,
    members: impl IntoIterator<Item = impl Into<Signature>>,
) -> Signature {
    let members: Vec<Signature> = members.into_iter().map(Into::into).collect();
    let documents: Vec<String> = members.iter().map(Signature::json).collect();
    let kwargs = format!(r#"{{"tasks":[{}]}}"#, documents.join(","));
    let empty = members.is_empty().then(|| format!("a {kind} has no tasks"));
    let wrong = members.into_iter().find_map(|member| member.wrong);
    Signature::canvas(task, kind, kwargs, wrong.or(empty))
}

impl Signature {
    fn canvas(task: &str, kind: &'static str, kwargs: String, wrong: Option<String>) -> Self {
        Self {
            task: task.to_owned(),
            args: "[]".to_owned(),
            kwargs,
            options: Vec::new(),
            links: Vec::new(),
            errlinks: Vec::new(),
            kind,
            is_immutable: false,
            wrong,
        }
    }

    /// Adds a task to be sent, with the result before its own arguments, when this succeeds.
    pub fn link(mut self, callback: impl Into<Self>) -> Self {
        let callback = callback.into();
        self.links.push(callback.json());
        self.wrong = self.wrong.or(callback.wrong);
        self
    }

    /// Adds a task to be sent, with the id of the failed one, when this fails.
    pub fn link_error(mut self, errback: impl Into<Self>) -> Self {
        let errback = errback.into();
        self.errlinks.push(errback.json());
        self.wrong = self.wrong.or(errback.wrong);
        self
    }

    /// Keeps the result of the task before it in a chain or a link out of its arguments.
    pub fn immutable(mut self) -> Self {
        self.is_immutable = true;
        self
    }

    /// Sends it at once, and returns the id of its result.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(self, ctx: &Context) -> Result<String, SubmitError> {
        self.apply(ctx, When::Now)
    }

    /// Sends it with the result, only if this attempt succeeds, and returns the id of its result.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn on_success(self, ctx: &Context) -> Result<String, SubmitError> {
        self.apply(ctx, When::OnSuccess)
    }

    /// Hands this task's work over to it: it takes this task's id, and whoever waits for this task
    /// gets its result. Returns what the task must end with.
    ///
    /// ```
    /// # use celeriac_sdk::prelude::*;
    /// #[task]
    /// fn build(ctx: &Context, all: bool) -> Result<String, TaskError> {
    ///     if all {
    ///         return Err(Job::new("site.build_all").replace(ctx));
    ///     }
    ///     Ok("built".to_owned())
    /// }
    /// # let ctx = Context::test().build();
    /// # assert_eq!(build(&ctx, true), Err(TaskError::ignore()));
    /// # assert!(ctx.recording().replacement.is_some());
    /// ```
    #[must_use = "the task ends with it: `return Err(….replace(ctx))`"]
    pub fn replace(self, ctx: &Context) -> TaskError {
        let handed = match &self.wrong {
            Some(reason) => Err(SubmitError::Invalid(reason.clone())),
            None => ctx.backend.replace(self.json()),
        };
        handed.map_or_else(TaskError::from, |()| TaskError::ignore())
    }

    fn apply(self, ctx: &Context, when: When) -> Result<String, SubmitError> {
        match &self.wrong {
            Some(reason) => Err(SubmitError::Invalid(reason.clone())),
            None => ctx.backend.apply(self.json(), when),
        }
    }

    /// Writes it as Celery does.
    pub(crate) fn json(&self) -> String {
        let list = |documents: &[String]| format!("[{}]", documents.join(","));
        let mut options: Vec<String> = self
            .options
            .iter()
            .map(|(name, value)| format!(r#""{name}":{value}"#))
            .collect();
        for (name, documents) in [("link", &self.links), ("link_error", &self.errlinks)] {
            if !documents.is_empty() {
                options.push(format!(r#""{name}":{}"#, list(documents)));
            }
        }
        let kind = match self.kind {
            "" => "null".to_owned(),
            kind => text(kind),
        };
        format!(
            r#"{{"task":{},"args":{},"kwargs":{},"options":{{{}}},"subtask_type":{kind},"immutable":{}}}"#,
            text(&self.task),
            self.args,
            self.kwargs,
            options.join(","),
            self.is_immutable
        )
    }
}

impl From<Job> for Signature {
    fn from(job: Job) -> Self {
        let seconds = |ms: u64| {
            let time = std::time::Duration::from_millis(ms);
            format!("{:?}", time.as_secs_f64())
        };
        let (args, kwargs) = (job.args_json(), job.kwargs_json());
        let mut options = Vec::new();
        options.extend(job.queue.map(|queue| ("queue", text(&queue))));
        options.extend(job.countdown_ms.map(|ms| ("countdown", seconds(ms))));
        options.extend(job.expires_ms.map(|ms| ("expires", seconds(ms))));
        options.extend(
            job.priority
                .map(|priority| ("priority", priority.to_string())),
        );
        if !job.headers.is_empty() {
            let headers: serde_json::Map<_, _> = job
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            let headers = serde_json::Value::Object(headers);
            options.push(("headers", headers.to_string()));
        }
        let keyed = job
            .key
            .map(|_| "a key is for a job that is sent by itself".to_owned());
        Self {
            task: job.task,
            args,
            kwargs,
            options,
            links: Vec::new(),
            errlinks: Vec::new(),
            kind: "",
            is_immutable: false,
            wrong: job.wrong.or(keyed),
        }
    }
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(signature: &Signature) -> Value {
        serde_json::from_str(&signature.json()).unwrap()
    }

    fn plain(task: &str, args: &Value) -> Value {
        json!({
            "task": task, "args": args, "kwargs": {}, "options": {}, "subtask_type": null,
            "immutable": false,
        })
    }

    #[test]
    fn a_chain_holds_its_steps_in_order() {
        let chain = chain![Job::new("a").arg(1), Job::new("b").immutable()];
        let mut second = plain("b", &json!([]));
        second["immutable"] = json!(true);
        let expected = json!({
            "task": "celery.chain", "args": [], "options": {}, "subtask_type": "chain",
            "immutable": false, "kwargs": {"tasks": [plain("a", &json!([1])), second]},
        });
        assert_eq!(document(&chain), expected);
    }

    #[test]
    fn a_chord_is_a_group_and_a_body() {
        let chord = chord(
            [Job::new("a").arg(1), Job::new("a").arg(2)],
            Job::new("sum"),
        );
        let document = document(&chord);
        assert_eq!(document["subtask_type"], "chord");
        let header = &document["kwargs"]["header"];
        assert_eq!(
            (&header["task"], &header["subtask_type"]),
            (&json!("celery.group"), &json!("group"))
        );
        assert_eq!(header["kwargs"]["tasks"][1], plain("a", &json!([2])));
        assert_eq!(document["kwargs"]["body"], plain("sum", &json!([])));
    }

    #[test]
    fn links_are_options() {
        let linked = Job::new("a").link(Job::new("b")).link(Job::new("c"));
        let document = document(&linked.link_error(Job::new("d")));
        assert_eq!(
            document["options"]["link"],
            json!([plain("b", &json!([])), plain("c", &json!([]))])
        );
        assert_eq!(
            document["options"]["link_error"],
            json!([plain("d", &json!([]))])
        );
    }

    #[test]
    fn what_is_wrong_deep_inside_is_told_when_it_is_sent() {
        let ctx = Context::test().build();
        let bad = || Job::new("a").countdown("soon");
        for signature in [
            chain![Job::new("b"), bad()],
            group([bad()]),
            chord([Job::new("b")], bad()),
            Job::new("b").link(bad()),
            Job::new("b").link_error(group([chain![bad()]])),
            group(Vec::<Job>::new()),
            Job::new("b").key("k").immutable(),
        ] {
            assert!(matches!(
                signature.submit(&ctx),
                Err(SubmitError::Invalid(_))
            ));
        }
        assert!(ctx.recording().submitted.is_empty());
    }
}
