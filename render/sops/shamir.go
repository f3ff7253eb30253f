package sops

// combine joins shares of a data key (Shamir's scheme over GF(2⁸) with the
// polynomial of AES, a byte of the key at a time). The last byte of a share is
// its x; the key is the value at 0.
func combine(shares [][]byte) ([]byte, bool) {
	n := len(shares[0])
	seen := map[byte]bool{}
	for _, s := range shares {
		if len(s) != n || n < 2 || s[n-1] == 0 || seen[s[n-1]] {
			return nil, false
		}
		seen[s[n-1]] = true
	}
	key := make([]byte, n-1)
	for _, a := range shares {
		// Lagrange's basis at 0; to subtract is to add.
		basis := byte(1)
		for _, b := range shares {
			if x := b[n-1]; x != a[n-1] {
				basis = multiply(basis, multiply(x, inverse(x^a[n-1])))
			}
		}
		for i := range key {
			key[i] ^= multiply(a[i], basis)
		}
	}
	return key, true
}

// multiply in GF(2⁸), in a time that does not depend on the factors.
func multiply(a, b byte) byte {
	var product byte
	for range 8 {
		product ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return product
}

// inverse in GF(2⁸): a to the power of 254.
func inverse(a byte) byte {
	out := byte(1)
	for range 254 {
		out = multiply(out, a)
	}
	return out
}
