//! Reads a task function's parameters and checks their order, by Python's rules.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Meta, Pat, PatType, PathArguments, Result,
    Token, Type,
};

/// How a parameter takes its argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PositionalOrKeyword,
    VarPositional,
    KeywordOnly,
    VarKeyword,
}

/// One parameter that takes an argument.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) ty: Type,
    /// Of a variadic parameter, the type of one value.
    pub(crate) item: Option<Type>,
    pub(crate) default: Option<Expr>,
    span: Span,
}

/// A function's parameters.
pub(crate) struct Parameters {
    pub(crate) context: bool,
    pub(crate) list: Vec<Parameter>,
}

/// Reads the parameters and takes our attributes off them.
pub(crate) fn take(inputs: &mut Punctuated<FnArg, Token![,]>) -> Result<Parameters> {
    let mut parameters = Parameters {
        context: false,
        list: Vec::new(),
    };
    for (place, input) in inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else {
            return Err(Error::new(
                input.span(),
                "a task is a free function: it has no `self`",
            ));
        };
        if is_context(&input.ty) {
            if place > 0 {
                return Err(Error::new(
                    input.span(),
                    "the context comes first: `ctx: &Context`",
                ));
            }
            parameters.context = true;
            continue;
        }
        let marks = Marks::take(&mut input.attrs)?;
        let after_args = parameters
            .list
            .iter()
            .any(|before| before.kind == Kind::VarPositional);
        parameters
            .list
            .push(Parameter::new(input, marks, after_args)?);
    }
    check_order(&parameters.list)?;
    Ok(parameters)
}

/// What stands in `#[task(...)]` on a parameter.
#[derive(Default)]
struct Marks {
    args: bool,
    kwargs: bool,
    keyword_only: bool,
    default: Option<Expr>,
}

impl Marks {
    fn take(attrs: &mut Vec<Attribute>) -> Result<Self> {
        let mut marks = Self::default();
        let mut rest = Vec::new();
        for attr in attrs.drain(..) {
            if attr.path().is_ident("task") {
                marks.read(&attr)?;
            } else {
                rest.push(attr);
            }
        }
        *attrs = rest;
        Ok(marks)
    }

    fn read(&mut self, attr: &Attribute) -> Result<()> {
        let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        for meta in metas {
            let key = meta
                .path()
                .get_ident()
                .map(ToString::to_string)
                .unwrap_or_default();
            match (key.as_str(), &meta) {
                ("args", Meta::Path(_)) => self.args = true,
                ("kwargs", Meta::Path(_)) => self.kwargs = true,
                ("keyword_only", Meta::Path(_)) => self.keyword_only = true,
                ("default", Meta::NameValue(pair)) => self.default = Some(pair.value.clone()),
                _ => {
                    let forms =
                        "a parameter has `default = VALUE`, `keyword_only`, `args` or `kwargs`";
                    return Err(Error::new(meta.span(), forms));
                }
            }
        }
        if [
            self.args,
            self.kwargs,
            self.keyword_only || self.default.is_some(),
        ]
        .iter()
        .filter(|set| **set)
        .count()
            > 1
        {
            return Err(Error::new(
                attr.span(),
                "`args` and `kwargs` stand alone: they have no default",
            ));
        }
        Ok(())
    }
}

impl Parameter {
    fn new(input: &PatType, marks: Marks, after_args: bool) -> Result<Self> {
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new(
                input.pat.span(),
                "a task's parameter has a name, by which callers give its argument",
            ));
        };
        let name = pattern.ident.unraw().to_string();
        if !name.is_ascii() {
            return Err(Error::new(
                pattern.span(),
                "a parameter's name is of ASCII letters, digits and `_`",
            ));
        }
        let ty = (*input.ty).clone();
        check_type(&ty)?;
        let (kind, item) = if marks.args {
            (
                Kind::VarPositional,
                Some(item_of(&ty, &["Vec"], "`args` collects into a `Vec<T>`")?),
            )
        } else if marks.kwargs {
            let maps = ["BTreeMap", "HashMap"];
            (
                Kind::VarKeyword,
                Some(item_of(
                    &ty,
                    &maps,
                    "`kwargs` collects into a `BTreeMap<String, T>`",
                )?),
            )
        } else if marks.keyword_only || after_args {
            (Kind::KeywordOnly, None)
        } else {
            (Kind::PositionalOrKeyword, None)
        };
        Ok(Self {
            name,
            kind,
            ty,
            item,
            default: marks.default,
            span: pattern.span(),
        })
    }
}

fn is_context(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => match &*reference.elem {
            Type::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Context"),
            _ => false,
        },
        _ => false,
    }
}

fn check_type(ty: &Type) -> Result<()> {
    match ty {
        Type::Reference(_) => Err(Error::new(
            ty.span(),
            "a parameter owns its argument: `String` rather than `&str`, `Vec<T>` rather than `&[T]`",
        )),
        Type::ImplTrait(_) => Err(Error::new(
            ty.span(),
            "a parameter's type has a name, so that its JSON Schema can be printed",
        )),
        Type::Path(path) if path.path.is_ident("Context") => Err(Error::new(
            ty.span(),
            "the context is borrowed: `ctx: &Context`",
        )),
        _ => Ok(()),
    }
}

/// The last generic argument of one of some containers.
fn item_of(ty: &Type, containers: &[&str], form: &str) -> Result<Type> {
    let wrong = || Error::new(ty.span(), form);
    let Type::Path(path) = ty else {
        return Err(wrong());
    };
    let last = path.path.segments.last().ok_or_else(wrong)?;
    if !containers.iter().any(|container| last.ident == container) {
        return Err(wrong());
    }
    let PathArguments::AngleBracketed(generics) = &last.arguments else {
        return Err(wrong());
    };
    match generics.args.last() {
        Some(GenericArgument::Type(item)) => Ok(item.clone()),
        _ => Err(wrong()),
    }
}

fn check_order(list: &[Parameter]) -> Result<()> {
    let mut with_default = None;
    for (place, parameter) in list.iter().enumerate() {
        let before = list.get(..place).unwrap_or_default();
        let refuse = |text: &str| Err(Error::new(parameter.span, text));
        if before
            .iter()
            .any(|earlier| earlier.kind == Kind::VarKeyword)
        {
            return refuse("nothing follows a `kwargs` parameter");
        }
        match parameter.kind {
            Kind::VarPositional
                if before
                    .iter()
                    .any(|earlier| earlier.kind != Kind::PositionalOrKeyword) =>
            {
                return refuse("`args` comes once, and before the parameters by name only");
            }
            Kind::PositionalOrKeyword => {
                if before
                    .iter()
                    .any(|earlier| earlier.kind == Kind::KeywordOnly)
                {
                    return refuse(
                        "a parameter by position cannot follow one by name only: mark it `keyword_only`, or move it",
                    );
                }
                if parameter.default.is_some() {
                    with_default = Some(&parameter.name);
                } else if let Some(earlier) = with_default {
                    return refuse(&format!(
                        "a parameter without a default cannot follow `{earlier}`, which has one"
                    ));
                }
            }
            Kind::VarPositional | Kind::KeywordOnly | Kind::VarKeyword => {}
        }
    }
    Ok(())
}
