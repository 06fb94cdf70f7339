//! Splitting elements into byte planes and joining them again, as integers only, so that every bit pattern survives.

/// Splits elements of `width` bytes (little-endian) into `width` planes one after the other, lowest byte first. Each element
/// is first rotated left by one bit, which takes a float's sign out of its exponent byte. `plain.len()` is a multiple of
/// `width`, which is 1, 2, 4 or 8.
pub(super) fn split(plain: &[u8], width: usize, planes: &mut Vec<u8>) {
    planes.resize(plain.len(), 0);
    let count = plain.len() / width;
    match width {
        2 => {
            let (low, high) = planes.split_at_mut(count);
            for ((element, low), high) in plain.chunks_exact(2).zip(low).zip(high) {
                let rotated = u16::from_le_bytes([element[0], element[1]]).rotate_left(1);
                [*low, *high] = rotated.to_le_bytes();
            }
        }
        4 => split4(plain, planes, count),
        8 => {
            for (at, element) in plain.chunks_exact(8).enumerate() {
                let bytes: [u8; 8] = element.try_into().expect("chunks of 8");
                let rotated = u64::from_le_bytes(bytes).rotate_left(1).to_le_bytes();
                for (plane, byte) in rotated.into_iter().enumerate() {
                    planes[plane * count + at] = byte;
                }
            }
        }
        _ => planes.copy_from_slice(plain),
    }
}

fn split4(plain: &[u8], planes: &mut [u8], count: usize) {
    let (first, rest) = planes.split_at_mut(count);
    let (second, rest) = rest.split_at_mut(count);
    let (third, fourth) = rest.split_at_mut(count);
    let targets = first.iter_mut().zip(second).zip(third).zip(fourth);
    for (element, (((a, b), c), d)) in plain.chunks_exact(4).zip(targets) {
        let bytes: [u8; 4] = element.try_into().expect("chunks of 4");
        [*a, *b, *c, *d] = u32::from_le_bytes(bytes).rotate_left(1).to_le_bytes();
    }
}

/// Undoes [`split`]; `planes` are the planes in their order, each `plain.len() / planes.len()` bytes long.
pub(super) fn join(planes: &[&[u8]], plain: &mut [u8]) {
    match planes {
        [low, high] => {
            for ((element, low), high) in plain.chunks_exact_mut(2).zip(*low).zip(*high) {
                let value = u16::from_le_bytes([*low, *high]).rotate_right(1);
                element.copy_from_slice(&value.to_le_bytes());
            }
        }
        [a, b, c, d] => {
            let sources = a.iter().zip(*b).zip(*c).zip(*d);
            for (element, (((a, b), c), d)) in plain.chunks_exact_mut(4).zip(sources) {
                let value = u32::from_le_bytes([*a, *b, *c, *d]).rotate_right(1);
                element.copy_from_slice(&value.to_le_bytes());
            }
        }
        [only] => plain.copy_from_slice(only),
        eight => {
            for (at, element) in plain.chunks_exact_mut(eight.len()).enumerate() {
                let mut bytes = [0; 8];
                for (byte, plane) in bytes.iter_mut().zip(eight) {
                    *byte = plane[at];
                }
                let value = u64::from_le_bytes(bytes).rotate_right(1);
                element.copy_from_slice(&value.to_le_bytes()[..element.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn join_undoes_split(elements in proptest::collection::vec(any::<u64>(), 0..50), power in 0..4u32) {
            let width = 1usize << power;
            let plain: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
            let mut planes = Vec::new();
            split(&plain, width, &mut planes);
            let count = plain.len() / width;
            let slices: Vec<&[u8]> = (0..width).map(|at| &planes[at * count..(at + 1) * count]).collect();
            let mut joined = vec![0; plain.len()];
            join(&slices, &mut joined);
            prop_assert_eq!(joined, plain);
        }
    }

    #[test]
    fn the_last_plane_is_the_exponent() {
        // 1.0 and -1.5 have one exponent, 127; the rotation takes their signs out of it.
        let plain: Vec<u8> = [1.0f32, -1.5]
            .iter()
            .flat_map(|f| f.to_le_bytes())
            .collect();
        let mut planes = Vec::new();
        split(&plain, 4, &mut planes);
        assert_eq!(planes[6..], [127, 127]);
    }
}
