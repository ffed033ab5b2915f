//! The opcodes that the cases are written with.

pub const UNREACHABLE: u8 = 0x00;
pub const BLOCK: u8 = 0x02;
pub const LOOP: u8 = 0x03;
pub const IF: u8 = 0x04;
pub const ELSE: u8 = 0x05;
pub const TRY: u8 = 0x06;
pub const THROW: u8 = 0x08;
pub const BR: u8 = 0x0c;
pub const BR_IF: u8 = 0x0d;
pub const BR_TABLE: u8 = 0x0e;
pub const RETURN: u8 = 0x0f;
pub const CALL: u8 = 0x10;
pub const CALL_INDIRECT: u8 = 0x11;
pub const RETURN_CALL: u8 = 0x12;
pub const TRY_TABLE: u8 = 0x1f;
pub const DROP: u8 = 0x1a;
pub const GET: u8 = 0x20;
pub const SET: u8 = 0x21;
pub const ADD: u8 = 0x6a;
pub const ADD_64: u8 = 0x7c;
pub const OR_64: u8 = 0x84;
pub const VOID: u8 = 0x40;
