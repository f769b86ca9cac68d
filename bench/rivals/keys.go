package rivals

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// IntKeys returns the ints 0 to n-1, shuffled.
func IntKeys(n int) []int {
	keys := rand.New(rand.NewPCG(1, 2)).Perm(n)
	return keys
}

// StringKeys returns n different strings of 16 bytes each, shuffled. Their bytes
// are in one block, so that they need no other heap memory.
func StringKeys(n int) []string {
	r := rand.New(rand.NewPCG(3, 4))
	block := make([]byte, 0, 16*n)
	for _, i := range r.Perm(n) {
		// An odd factor keeps the numbers different and spreads the digits.
		var raw [8]byte
		binary.BigEndian.PutUint64(raw[:], uint64(i)*0x9e3779b97f4a7c15)
		block = hex.AppendEncode(block, raw[:])
	}
	text := string(block)
	keys := make([]string, n)
	for i := range keys {
		keys[i] = text[16*i : 16*i+16]
	}
	return keys
}

// IntValues returns 1024 ints to store.
func IntValues() []int {
	vals := make([]int, 1024)
	for i := range vals {
		vals[i] = i + 1000
	}
	return vals
}
