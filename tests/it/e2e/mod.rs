//! Whole campaigns with the real program, on the embedded queue, against the simulator.

mod send;
