//! `#[derive(Facts)]` for the plain structs and enums of `kubeadm-release`: their fields and variants become a list of
//! facts, each with its name and what its documentation says of it. So whoever shows or compares releases needs no second
//! list.
//!
//! `#[fact(skip)]` leaves a field out. `#[fact(bare)]` says that a variant is shown as what it holds.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Expr, Fields, Lit, Meta, parse_macro_input};

/// Lists what a struct or an enum holds.
#[proc_macro_derive(Facts, attributes(fact))]
pub fn facts(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<Tokens, Error> {
    let name = &input.ident;
    let body = match &input.data {
        Data::Struct(data) => {
            let fields = bound(&data.fields);
            let (pattern, fact) = (&fields.pattern, &fields.fact);
            quote! { let Self #pattern = self; #fact }
        }
        Data::Enum(data) => {
            let arms = data.variants.iter().map(|variant| {
                let ident = &variant.ident;
                let fields = bound(&variant.fields);
                let (pattern, fact) = (&fields.pattern, &fields.fact);
                if told(&variant.attrs, "bare")? {
                    return Ok(quote! { Self::#ident #pattern => #fact, });
                }
                let (word, about) = (ident.to_string(), about(&variant.attrs));
                let of = match variant.fields {
                    Fields::Unit => quote! { None },
                    Fields::Named(_) | Fields::Unnamed(_) => quote! { Some(Box::new(#fact)) },
                };
                Ok(quote! {
                    Self::#ident #pattern =>
                        crate::listing::Fact::Choice { word: #word, about: #about, of: #of },
                })
            });
            let arms = arms.collect::<Result<Tokens, Error>>()?;
            quote! { match self { #arms } }
        }
        Data::Union(_) => return Err(Error::new_spanned(name, "a union tells no facts")),
    };
    Ok(quote! {
        impl crate::listing::Facts for #name {
            fn fact(&self) -> crate::listing::Fact { #body }
        }
    })
}

/// Fields bound by a pattern, and the fact made of them.
struct Bound {
    pattern: Tokens,
    fact: Tokens,
}

fn bound(fields: &Fields) -> Bound {
    match fields {
        Fields::Unit => Bound { pattern: quote! {}, fact: quote! { crate::listing::Fact::Absent } },
        Fields::Unnamed(unnamed) => {
            let names: Vec<_> = (0..unnamed.unnamed.len()).map(|at| format_ident!("field_{at}")).collect();
            let fact = match names.as_slice() {
                [one] => quote! { crate::listing::Facts::fact(#one) },
                all => quote! { crate::listing::Fact::List(vec![#(crate::listing::Facts::fact(#all)),*]) },
            };
            Bound { pattern: quote! { (#(#names),*) }, fact }
        }
        Fields::Named(named) => {
            let (mut pattern, mut entries) = (Vec::new(), Vec::new());
            for field in &named.named {
                let ident = field.ident.as_ref();
                match told(&field.attrs, "skip") {
                    Ok(false) => {}
                    Ok(true) => {
                        pattern.push(quote! { #ident: _ });
                        continue;
                    }
                    Err(error) => {
                        entries.push(error.into_compile_error());
                        continue;
                    }
                }
                let (name, about) = (ident.map(ToString::to_string), about(&field.attrs));
                pattern.push(quote! { #ident });
                entries.push(quote! {
                    crate::listing::Named { name: #name, about: #about, fact: crate::listing::Facts::fact(#ident) }
                });
            }
            Bound {
                pattern: quote! { { #(#pattern),* } },
                fact: quote! { crate::listing::Fact::Group(vec![#(#entries),*]) },
            }
        }
    }
}

/// Whether `#[fact(WORD)]` is there.
fn told(attributes: &[Attribute], word: &str) -> Result<bool, Error> {
    let mut found = false;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("fact")) {
        attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident(word);
            match meta.path.is_ident(word) {
                true => Ok(()),
                false => Err(meta.error(format!("expected {word} here"))),
            }
        })?;
    }
    Ok(found)
}

/// The first paragraph of the documentation, as one line without its last full stop.
fn about(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(expr) => match &expr.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let text = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}
