//! The comparison of `dialect::stencil` on CPUs with AVX2: a block in one register.
//!
//! Belongs here: the loop over whole frames, in the CPU's own words, and asking whether it knows them. Does
//! not: what is compared and why (`dialect::stencil`). One of the three files of the crate with unsafe code.
//!
//! For 150 bytes: 4 ns a frame. The compiler's own vectors of 32 bytes took 14, of 16 bytes 16; this with
//! the template in memory 12.

#![expect(unsafe_code, reason = "loads of vectors, and functions that not every CPU can run")]

use std::arch::x86_64::*;

use super::template::{
    BATCH, Block, Bodies, HALF, LANES, QUOTED_LEAST, QUOTED_MOST, QUOTED_NEVER, Template,
};
use crate::dialect::tag;

/// Blocks that may have bytes of the tag: 16 bytes lie in two blocks, or in three with the last, which
/// overlaps the one before it.
const MASKED: usize = 3;

/// This CPU has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }

    /// As [`Template::fitting`].
    #[inline]
    pub(super) fn fitting(self, template: &Template, bytes: &[u8], bodies: &mut Bodies) -> usize {
        // SAFETY: only `detect` makes an `Avx2`, and it has asked the CPU for every feature.
        unsafe { fitting(template, bytes, bodies) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn fitting(template: &Template, bytes: &[u8], bodies: &mut Bodies) -> usize {
    let Some(body_at) = template.body_at.filter(|_| template.varied.is_empty()) else {
        return varied(template, bytes, bodies);
    };
    match template.plain.len() {
        1 => plain::<1>(template, body_at, bytes, bodies),
        2 => plain::<2>(template, body_at, bytes, bodies),
        3 => plain::<3>(template, body_at, bytes, bodies),
        4 => plain::<4>(template, body_at, bytes, bodies),
        5 => plain::<5>(template, body_at, bytes, bodies),
        6 => plain::<6>(template, body_at, bytes, bodies),
        7 => plain::<7>(template, body_at, bytes, bodies),
        8 => plain::<8>(template, body_at, bytes, bodies),
        _ => varied(template, bytes, bodies),
    }
}

/// Literals and a tag, the template in registers.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn plain<const N: usize>(
    template: &Template,
    body_at: usize,
    bytes: &[u8],
    bodies: &mut Bodies,
) -> usize {
    let Some(blocks) = template.plain.first_chunk::<N>() else { return 0 };
    let (len, upper, weight) = (template.len, template.upper, template.run_weight);
    let at: [usize; N] = std::array::from_fn(|block| blocks[block].at);
    let literal: [__m256i; N] = std::array::from_fn(|block| load(&blocks[block].literal));
    let is_literal: [__m256i; N] = std::array::from_fn(|block| load(&blocks[block].is_literal));
    let (mut frames, mut start) = (0, 0);
    while frames < BATCH && start + len <= bytes.len() {
        // SAFETY: a whole frame begins at `start`, and all blocks and the body lie within a frame.
        let found = unsafe {
            let frame = bytes.as_ptr().add(start);
            let mut wrong = _mm256_setzero_si256();
            for block in 0..N {
                let place = frame.add(at[block]);
                // One block may be all of a frame that is shorter than it.
                let found =
                    if N == 1 { halves(place, upper) } else { _mm256_loadu_si256(place.cast()) };
                let mut unlike = _mm256_xor_si256(found, literal[block]);
                if block < MASKED {
                    unlike = _mm256_and_si256(unlike, is_literal[block]);
                }
                wrong = _mm256_or_si256(wrong, unlike);
            }
            (wrong, _mm_loadu_si128(frame.add(body_at).cast()))
        };
        let (wrong, digits) = found;
        let Some(body) = body(digits) else { break };
        if _mm256_testz_si256(wrong, wrong) == 0 || !tag::checks(weight, body) {
            break;
        }
        bodies[frames] = body;
        frames += 1;
        start += len;
    }
    frames
}

/// Anything: values, no tag, or many blocks.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn varied(template: &Template, bytes: &[u8], bodies: &mut Bodies) -> usize {
    let (len, upper) = (template.len, template.upper);
    let (mut frames, mut start) = (0, 0);
    while frames < BATCH && start + len <= bytes.len() {
        let frame = bytes[start..start + len].as_ptr();
        let mut wrong = _mm256_setzero_si256();
        for block in &template.plain {
            // SAFETY: all blocks lie within a frame.
            let found = unsafe { halves(frame.add(block.at), upper) };
            wrong = _mm256_or_si256(wrong, unlike(block, found));
        }
        for varied in &template.varied {
            // SAFETY: as above.
            let found = unsafe { halves(frame.add(varied.block.at), upper) };
            let no_digit = _mm256_andnot_si256(in_range(found, b'0', b'9'), load(&varied.is_digit));
            let [one, other] = QUOTED_NEVER.map(|byte| _mm256_cmpeq_epi8(found, all(byte)));
            let never = _mm256_or_si256(one, other);
            let may = _mm256_andnot_si256(never, in_range(found, QUOTED_LEAST, QUOTED_MOST));
            let no_quoted = _mm256_andnot_si256(may, load(&varied.is_quoted));
            wrong = _mm256_or_si256(wrong, _mm256_or_si256(no_digit, no_quoted));
            wrong = _mm256_or_si256(wrong, unlike(&varied.block, found));
        }
        if _mm256_testz_si256(wrong, wrong) == 0 {
            break;
        }
        if let Some(body_at) = template.body_at {
            // SAFETY: the body lies within a frame.
            let digits = unsafe { _mm_loadu_si128(frame.add(body_at).cast()) };
            let Some(body) = body(digits).filter(|&body| tag::checks(template.run_weight, body))
            else {
                break;
            };
            bodies[frames] = body;
        }
        frames += 1;
        start += len;
    }
    frames
}

/// 16 bytes from `start` on, and 16 from `upper` after it.
///
/// # Safety
/// `upper + 16` bytes from `start` on can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(start: *const u8, upper: usize) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu2_m128i(start.add(upper).cast(), start.cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: &[u8; LANES]) -> __m256i {
    // SAFETY: 32 bytes are there to be read, at any alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte as i8)
}

/// Bits where a literal differs.
#[inline]
#[target_feature(enable = "avx2")]
fn unlike(block: &Block, found: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_xor_si256(found, load(&block.literal)), load(&block.is_literal))
}

/// 0xff where a byte is one of `least..=most`.
#[inline]
#[target_feature(enable = "avx2")]
fn in_range(found: __m256i, least: u8, most: u8) -> __m256i {
    let above = _mm256_sub_epi8(found, all(least));
    _mm256_cmpeq_epi8(_mm256_min_epu8(above, all(most - least)), above)
}

/// The number that 16 lower-case hex digits write: `dialect::tag` says what a digit is.
#[inline]
#[target_feature(enable = "avx2")]
fn body(digits: __m128i) -> Option<u64> {
    const { assert!(tag::BODY_LEN == HALF) };
    let each = |byte: u8| _mm_set1_epi8(byte as i8);
    let decimal = _mm_sub_epi8(digits, each(b'0'));
    let letter = _mm_sub_epi8(digits, each(b'a'));
    let is_decimal = _mm_cmpeq_epi8(_mm_min_epu8(decimal, each(9)), decimal);
    let is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, each(5)), letter);
    if _mm_movemask_epi8(_mm_or_si128(is_decimal, is_letter)) != 0xffff {
        return None;
    }
    let nibbles = _mm_blendv_epi8(_mm_add_epi8(letter, each(10)), decimal, is_decimal);
    // The first digit of each pair counts 16 times, and a pair is a byte of the number, the highest first.
    let pairs = _mm_maddubs_epi16(nibbles, _mm_set1_epi16(0x0110));
    let number = _mm_cvtsi128_si64(_mm_packus_epi16(pairs, pairs)) as u64;
    Some(number.swap_bytes())
}
