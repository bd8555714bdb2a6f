//! Takes secrets and identities out of text before it is stored for learning.
