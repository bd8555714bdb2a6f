//! Policy at its border: facts in, decisions out.
