//! Which packets may pass an interface or a pod: catalogue programs and policies come in, attached filters and verdicts
//! with reasons go out. Parsing and planning are pure; only `kernel` and `attach` touch the machine. Never here: output.

#![forbid(unsafe_code)]

pub mod attach;
pub mod catalogue;
pub mod chain;
pub mod cni;
pub mod counters;
pub mod describe;
pub mod flow_text;
pub mod hits;
pub mod input;
pub mod interpret;
pub mod kernel;
pub mod packet;
pub mod pcap;
pub mod policy;
pub mod reference;
pub mod replay;
pub mod tables;
pub mod traffico;
pub mod user;
