//! Runs a packet program on a frame without any interface (BPF_PROG_TEST_RUN). Comes in: the frame and the context it
//! would have. Goes out: what the program returned and how long one run took. The frame is not sent anywhere.

use crate::error::Error;
use crate::object::Object;

/// A frame and what the kernel would know about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct PacketInput<'a> {
    /// From the Ethernet header on; kernels refuse frames shorter than 14 bytes, and IP frames shorter than their header.
    pub frame: &'a [u8],
    /// `__sk_buff.tstamp`, nanoseconds (Linux 5.3 and later).
    pub tstamp: u64,
    /// Runs in a row; 0 and 1 mean one.
    pub repeat: u32,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketRun {
    pub value: u32,
    /// Mean over the runs, nanoseconds.
    pub nanos: u64,
}

impl Object {
    /// Runs a tc program on a frame.
    ///
    /// # Errors
    /// EINVAL for frames that the kernel does not run.
    pub fn run_packet(&self, program: &str, input: &PacketInput<'_>) -> Result<PacketRun, Error> {
        let mut context = [0u8; SK_BUFF_BYTES];
        if let Some(field) = context.get_mut(TSTAMP_OFFSET..TSTAMP_OFFSET + 8) {
            field.copy_from_slice(&input.tstamp.to_ne_bytes());
        }
        let run = libbpf_rs::ProgramInput {
            data_in: Some(input.frame),
            context_in: Some(&mut context),
            repeat: input.repeat,
            ..Default::default()
        };
        let done = self.program(program)?.test_run(run).map_err(|e| Error::call("run program", program, &e))?;
        let nanos = u64::try_from(done.duration.as_nanos()).unwrap_or(u64::MAX);
        Ok(PacketRun { value: done.return_value, nanos })
    }
}

/// `struct __sk_buff` of uapi/linux/bpf.h up to `wire_len`; kernels accept shorter contexts than their own.
const SK_BUFF_BYTES: usize = 160;
const TSTAMP_OFFSET: usize = 152;
