//! Tests of the table and of the layers.
