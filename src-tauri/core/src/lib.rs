//! Lapse core.
