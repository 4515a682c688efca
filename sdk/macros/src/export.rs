//! Writes the code behind `export!`: the component's list of tasks and its exports.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Path, Result, Token};

/// The most tasks of one component: the contract's limit.
const MAX_TASKS: usize = 256;

/// Expands `export!`.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    parse(tokens).map_or_else(Error::into_compile_error, |tasks| component(&tasks))
}

fn parse(tokens: TokenStream) -> Result<Vec<Path>> {
    let tasks: Vec<Path> = Punctuated::<Path, Token![,]>::parse_terminated
        .parse2(tokens)?
        .into_iter()
        .collect();
    if tasks.is_empty() {
        return Err(Error::new(
            proc_macro2::Span::call_site(),
            "a component has a task: write `export!(my_task);`",
        ));
    }
    if tasks.len() > MAX_TASKS {
        let text = format!(
            "{} tasks, but a component has at most {MAX_TASKS}",
            tasks.len()
        );
        return Err(Error::new(proc_macro2::Span::call_site(), text));
    }
    let mut names = Vec::new();
    for task in &tasks {
        let Some(last) = task.segments.last() else {
            continue;
        };
        if names.contains(&&last.ident) {
            return Err(Error::new(
                task.span(),
                format!("two tasks of one component are called `{}`", last.ident),
            ));
        }
        names.push(&last.ident);
    }
    Ok(tasks)
}

fn component(tasks: &[Path]) -> TokenStream {
    quote! {
        const _: () = {
            // On every target, so that a unit test run already tells what is no task.
            const fn is_task<T: ::celeriac_sdk::__private::Task>() {}
            #(is_task::<#tasks>();)*

            #[cfg(target_arch = "wasm32")]
            enum Tasks {}

            #[cfg(target_arch = "wasm32")]
            impl ::celeriac_sdk::__private::Component for Tasks {
                const TASKS: &'static [::celeriac_sdk::__private::Entry] =
                    &[#(::celeriac_sdk::__private::Entry::of::<#tasks>()),*];
            }

            #[cfg(target_arch = "wasm32")]
            ::celeriac_sdk::bindings::export_component!(Tasks with_types_in ::celeriac_sdk::bindings);
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_at_most_256_tasks() {
        let tasks = |count: usize| {
            let names = (0..count).map(|index| quote::format_ident!("task_{index}"));
            parse(quote!(#(#names),*))
                .map(|tasks| tasks.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(tasks(256), Ok(256));
        assert_eq!(
            tasks(257),
            Err("257 tasks, but a component has at most 256".to_owned())
        );
    }

    #[test]
    fn a_component_without_tasks_or_with_two_of_a_name_is_refused() {
        assert!(parse(quote!()).is_err());
        assert!(parse(quote!(text::count, words::count)).is_err());
    }
}
