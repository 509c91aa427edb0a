//! ResetConfiguration, since v1beta4.

use super::parts;
use crate::codec::{Codec, Keep};
use crate::types::ResetConfiguration;

pub(crate) fn reset(x: &mut ResetConfiguration, c: &mut Codec<'_>) {
    c.flag("cleanupTmpDir", &mut x.cleanup_tmp_dir, Keep::Set);
    c.text("certificatesDir", &mut x.certificates_dir, Keep::Set);
    c.text("criSocket", &mut x.cri_socket, Keep::Set);
    c.flag("dryRun", &mut x.dry_run, Keep::Set);
    c.flag("force", &mut x.force, Keep::Set);
    c.texts("ignorePreflightErrors", &mut x.ignore_preflight_errors, Keep::Set);
    c.texts("skipPhases", &mut x.skip_phases, Keep::Set);
    c.texts("unmountFlags", &mut x.unmount_flags, Keep::Set);
    c.object("timeouts", &mut x.timeouts, "Timeouts", parts::timeouts);
}
