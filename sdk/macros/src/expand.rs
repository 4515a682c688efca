//! Writes the code behind `#[task]`: the function as it was, and a type of its name that tells the
//! SDK how to describe and call it. Types and functions have separate names, so the two live side
//! by side and a path to one is a path to both.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, ItemFn, Lit, Meta, Result, Signature};

use crate::attribute::{self, Options, Retry};
use crate::parameters::{self, Kind, Parameter, Parameters};
use crate::returns::{self, Returns};

/// The longest name of a task, in characters: the contract's limit.
const MAX_NAME: usize = 128;

/// Expands `#[task]`; errors keep the function, so that the rest of the crate is still checked.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            return Error::new_spanned(item, "`#[task]` stands on a function").into_compile_error();
        }
    };
    let parameters = parameters::take(&mut function.sig.inputs);
    let definition =
        attribute::parse(attribute).and_then(|options| define(&options, &function, parameters?));
    let definition = definition.unwrap_or_else(Error::into_compile_error);
    strip(&mut function);
    quote! { #function #definition }
}

/// Takes our attributes off the parameters that an error left unread.
fn strip(function: &mut ItemFn) {
    for input in &mut function.sig.inputs {
        if let syn::FnArg::Typed(input) = input {
            input.attrs.retain(|attr| !attr.path().is_ident("task"));
        }
    }
}

fn define(options: &Options, function: &ItemFn, parameters: Parameters) -> Result<TokenStream> {
    let signature = &function.sig;
    check(signature)?;
    let returns = returns::sort(&signature.output)?;
    let (visibility, ident) = (&function.vis, &signature.ident);
    let definition = definition(
        options,
        &function.attrs,
        signature,
        &parameters.list,
        &returns,
    );
    let run = run(signature, &parameters, &returns);
    Ok(quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #visibility enum #ident {}

        // The author's own expressions and types stand in it, in places of ours.
        #[allow(clippy::redundant_closure, clippy::let_unit_value)]
        #[automatically_derived]
        impl ::celeriac_sdk::__private::Task for #ident {
            const DEFINITION: ::celeriac_sdk::__private::Definition = #definition;

            fn run(
                ctx: &::celeriac_sdk::Context,
                call: ::celeriac_sdk::__private::Call,
            ) -> ::core::result::Result<::std::vec::Vec<u8>, ::celeriac_sdk::TaskError> {
                #run
            }
        }
    })
}

fn check(signature: &Signature) -> Result<()> {
    let name = signature.ident.unraw().to_string();
    if !name.is_ascii() || name.len() > MAX_NAME {
        let text = format!("a task's name has at most {MAX_NAME} ASCII letters, digits and `_`");
        return Err(Error::new(signature.ident.span(), text));
    }
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a task is not async: `ctx.sleep` waits without occupying a thread",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a task has no generic parameters: its types must be known",
        ));
    }
    Ok(())
}

fn definition(
    options: &Options,
    attrs: &[Attribute],
    signature: &Signature,
    list: &[Parameter],
    returns: &Returns,
) -> TokenStream {
    let name = signature.ident.unraw().to_string();
    let doc = doc(attrs);
    let params = list.iter().map(param);
    let types = list.iter().map(param_type);
    let result = match returns {
        Returns::Value(ty) => quote_spanned!(ty.span()=> #ty),
        Returns::Fallible(ty) => {
            quote_spanned!(ty.span()=> <#ty as ::celeriac_sdk::__private::Fallible>::Value)
        }
    };
    let Options {
        wall_ms,
        soft_wall_ms,
        cpu_ms,
        memory_bytes,
        result_bytes,
        retry,
        at_most_once,
        wants,
        accept,
    } = options;
    let [wall, soft, cpu, memory, size] =
        [wall_ms, soft_wall_ms, cpu_ms, memory_bytes, result_bytes].map(option);
    let retry = option(&retry.as_ref().map(policy));
    quote! {
        ::celeriac_sdk::__private::Definition {
            signature: ::celeriac_sdk::__private::Signature { name: #name, params: &[#(#params),*] },
            types: &[#(#types),*],
            doc: #doc,
            result_schema: ::celeriac_sdk::__private::result_schema::<#result>,
            limits: ::celeriac_sdk::__private::Limits {
                wall_ms: #wall,
                soft_wall_ms: #soft,
                cpu_ms: #cpu,
                memory_bytes: #memory,
                result_bytes: #size,
            },
            retry: #retry,
            at_most_once: #at_most_once,
            wants: &[#(#wants),*],
            accept: &[#(#accept),*],
        }
    }
}

fn param(parameter: &Parameter) -> TokenStream {
    let Parameter {
        name,
        kind,
        default,
        ..
    } = parameter;
    let (kind, takes_one) = match kind {
        Kind::PositionalOrKeyword => (format_ident!("PositionalOrKeyword"), true),
        Kind::VarPositional => (format_ident!("VarPositional"), false),
        Kind::KeywordOnly => (format_ident!("KeywordOnly"), true),
        Kind::VarKeyword => (format_ident!("VarKeyword"), false),
    };
    let required = takes_one && default.is_none();
    quote! {
        ::celeriac_sdk::__private::Parameter {
            name: #name,
            kind: ::celeriac_sdk::__private::ParamKind::#kind,
            required: #required,
        }
    }
}

fn param_type(parameter: &Parameter) -> TokenStream {
    let ty = parameter.item.as_ref().unwrap_or(&parameter.ty);
    let schema = quote_spanned!(ty.span()=> ::celeriac_sdk::__private::param_schema::<#ty>);
    let default = option(&default_of(parameter).map(|value| {
        quote_spanned!(ty.span()=> || ::celeriac_sdk::__private::default_json::<#ty>(&#value))
    }));
    quote! { ::celeriac_sdk::__private::ParamType { schema: #schema, default: #default } }
}

/// The default as an expression of the parameter's type; a text in quotes becomes a `String` or
/// whatever else is made of one.
fn default_of(parameter: &Parameter) -> Option<TokenStream> {
    let (ty, value) = (&parameter.ty, parameter.default.as_ref()?);
    Some(match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => {
            quote_spanned!(text.span()=> <#ty as ::core::convert::From<&str>>::from(#text))
        }
        other => quote!(#other),
    })
}

fn policy(retry: &Retry) -> TokenStream {
    let Retry {
        max_retries,
        first_delay_ms,
        max_delay_ms,
        factor_milli,
        jitter,
        kinds,
    } = retry;
    let max_retries = option(max_retries);
    let first_delay_ms = option(first_delay_ms);
    quote! {
        ::celeriac_sdk::__private::RetryPolicy {
            max_retries: #max_retries,
            first_delay_ms: #first_delay_ms,
            max_delay_ms: #max_delay_ms,
            factor_milli: #factor_milli,
            jitter: #jitter,
            retry_kinds: &[#(#kinds),*],
        }
    }
}

fn run(signature: &Signature, parameters: &Parameters, returns: &Returns) -> TokenStream {
    let ident = &signature.ident;
    let values: Vec<_> = (0..parameters.list.len())
        .map(|index| format_ident!("value_{index}"))
        .collect();
    let lets =
        parameters
            .list
            .iter()
            .enumerate()
            .zip(&values)
            .map(|((index, parameter), value)| {
                let ty = &parameter.ty;
                let parse = match (parameter.kind, default_of(parameter)) {
                    (Kind::VarPositional, _) => quote_spanned!(ty.span()=> var_positional(#index)),
                    (Kind::VarKeyword, _) => quote_spanned!(ty.span()=> var_keyword()),
                    (Kind::PositionalOrKeyword | Kind::KeywordOnly, Some(default)) => {
                        quote_spanned!(ty.span()=> optional(#index, || #default))
                    }
                    (Kind::PositionalOrKeyword | Kind::KeywordOnly, None) => {
                        quote_spanned!(ty.span()=> required(#index))
                    }
                };
                quote_spanned!(ty.span()=> let #value: #ty = bound.#parse?;)
            });
    let context = parameters.context.then(|| quote!(ctx,));
    let unused = (!parameters.context).then(|| quote!(let _ = ctx;));
    let result = match returns {
        Returns::Value(_) => quote!(#ident(#context #(#values),*)),
        Returns::Fallible(ty) => {
            quote_spanned!(ty.span()=> ::celeriac_sdk::__private::Fallible::settle(#ident(#context #(#values),*))?)
        }
    };
    quote! {
        #unused
        let bound = <Self as ::celeriac_sdk::__private::Task>::DEFINITION.signature.bind(&call.args, &call.kwargs)?;
        #(#lets)*
        ::core::mem::drop(bound);
        ::core::mem::drop(call);
        let result = #result;
        ::celeriac_sdk::__private::encode(&result)
    }
}

fn option<T: quote::ToTokens>(value: &Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// The doc comment as text: one blank after `///` belongs to the comment, not to the text.
fn doc(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.join("\n").trim().to_owned()
}
