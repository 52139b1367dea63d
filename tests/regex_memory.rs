//! What a line can make the matcher remember is bounded, and given back with the line.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use logknockd::regex::{Regex, Scratch};

/// Counts what is held. There is one test in this file, so nobody else allocates meanwhile.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn what_a_hostile_line_takes_is_bounded_and_given_back() {
    for (pattern, text) in [
        ("knock: .* SRC=([0-9.]+) .* PROTO=UDP", "knock:  SRC=1 "),
        ("((((((((((a))))))))))*Z", "a"),
        (&format!("(?:{}a)*Z", "[ab]??".repeat(130)), "a"),
        (&format!("(?:{}a)*[Z]", "[ab]??".repeat(130)), "a"),
        ("(((((a)))))*", "a"),
        (&format!("(?:(?:a?){{{0}}})*Z", 450), "a"),
        (&format!("(?:(a?)){{{0}}}.*?Z", 580), "a"),
    ] {
        let regex =
            Regex::new(pattern).unwrap_or_else(|error| panic!("{}", error.message.escape_ascii()));
        let mut scratch = Scratch::new();
        let before = HELD.load(Relaxed);
        let text = text.as_bytes().iter().cycle().take(8192);
        let text: Vec<u8> = text.copied().collect();
        MOST.store(HELD.load(Relaxed), Relaxed);
        regex.captures(&text, &mut scratch);
        let most = MOST.load(Relaxed).saturating_sub(before);
        // A bit for each state at each place, and the choices.
        assert!(most <= 4 << 20, "{pattern:.40}: {most} bytes are taken");
        drop(text);
        let held = HELD.load(Relaxed).saturating_sub(before);
        assert!(held <= 80 << 10, "{pattern:.40}: {held} bytes are kept");
    }
}
