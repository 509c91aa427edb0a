//! `-o text|json|yaml`: objects of `output.kubeadm.k8s.io` as text of these forms.
//! cmd/kubeadm/app/util/output/output.go, 1.37.

use serde::Serialize;

use crate::error::CommandError;
use crate::output;
use crate::values::Values;

/// Group and version of all objects printed.
pub(crate) const API_VERSION: &str = "output.kubeadm.k8s.io/v1alpha3";

/// The form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// JSON, indented by four blanks.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// The format that `--output` names. Templates are not among them, so the flags that tune templates and managed
    /// fields have nothing to change in what is printed.
    pub(crate) fn of(flags: &Values) -> Result<Self, CommandError> {
        match flags.text("output").as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            other => Err(CommandError::new(format!(
                "could not construct output printer: unable to match a printer suitable for the output format \
                 {other:?}, allowed formats are: json,text,yaml"
            ))),
        }
    }

    /// Prints objects: JSON one after the other, YAML as documents, text as `text` has it.
    pub(crate) fn print<T: Serialize>(
        self,
        objects: &[T],
        text: impl FnOnce(&[T]) -> String,
    ) -> Result<(), CommandError> {
        match self {
            Self::Text => output::text_as_is(&text(objects)),
            Self::Json => {
                for object in objects {
                    let mut out = Vec::new();
                    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
                    object.serialize(&mut serde_json::Serializer::with_formatter(&mut out, indent))?;
                    output::line(&String::from_utf8_lossy(&out));
                }
            }
            Self::Yaml => {
                let documents: Result<Vec<String>, _> = objects
                    .iter()
                    .map(|o| serde_json::to_value(o).map(|v| kubeadm_yaml::to_string(&v)))
                    .collect();
                output::text_as_is(&documents?.join("---\n"));
            }
        }
        Ok(())
    }
}
