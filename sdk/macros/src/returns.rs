//! Sorts return types: a plain value, or a `Result`.

use syn::spanned::Spanned;
use syn::{Error, Result, ReturnType, Type};

/// What a task function returns.
pub(crate) enum Returns {
    /// A value; `()` where nothing is written.
    Value(Type),
    /// A `Result`, by whatever path or alias whose name is `Result`.
    Fallible(Type),
}

/// Sorts a return type.
pub(crate) fn sort(output: &ReturnType) -> Result<Returns> {
    let ty = match output {
        ReturnType::Default => return Ok(Returns::Value(syn::parse_quote!(()))),
        ReturnType::Type(_, ty) => &**ty,
    };
    if matches!(ty, Type::ImplTrait(_) | Type::Never(_)) {
        return Err(Error::new(
            ty.span(),
            "a task returns a type with a name, or a `Result` of one",
        ));
    }
    let fallible = match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Result"),
        _ => false,
    };
    Ok(if fallible {
        Returns::Fallible(ty.clone())
    } else {
        Returns::Value(ty.clone())
    })
}
