package waitmap

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"unsafe"
)

type keyKind uint8

const (
	keysOther keyKind = iota
	keysWord
	keysString
	keysCustom
)

// A hasher spreads keys over 64 bits by secrets of its own, so that keys which collide in
// one map are unrelated in the next.
type hasher[K comparable] struct {
	kind   keyKind
	secret uint64
	second uint64
	seed   maphash.Seed
	custom func(key K, seed uint64) uint64
}

func newHasher[K comparable](custom func(K, uint64) uint64) hasher[K] {
	return hasher[K]{
		kind:   keyKindOf[K](custom),
		secret: rand.Uint64(),
		second: rand.Uint64(),
		seed:   maphash.MakeSeed(),
		custom: custom,
	}
}

func keyKindOf[K comparable](custom func(K, uint64) uint64) keyKind {
	if custom != nil {
		return keysCustom
	}
	switch reflect.TypeFor[K]().Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Bool, reflect.Pointer, reflect.UnsafePointer, reflect.Chan:
		return keysWord
	case reflect.String:
		return keysString
	default:
		return keysOther
	}
}

// hash panics for an unhashable key, as a built-in map does.
func (h *hasher[K]) hash(key K) uint64 {
	if unsafe.Sizeof(key) <= 8 && h.kind == keysWord {
		return splice(mix(keyBits(key), h.secret))
	}
	return h.hashSlow(key)
}

func (h *hasher[K]) hashSlow(key K) uint64 {
	switch h.kind {
	case keysString:
		return h.hashString(keyString(key))
	case keysCustom:
		_ = any(key) == any(key) // an unhashable key panics here, with nothing locked
		return splice(mix(h.custom(key, h.secret), h.secret))
	default:
		return maphash.Comparable(h.seed, key)
	}
}

// splice makes a hash of mix's rounds. The middle, which chooses the shard, is of the first
// round, so that load can look for the shard during the second.
func splice(early, late uint64) uint64 {
	const middle = 1<<32 - 1<<7
	return late&^middle | early&middle
}

// mix needs both rounds: after one multiplication, runs of integers leave whole groups empty
// and others full. One is enough for shards: a shard with more than an equal share is only
// larger.
//
// Like all else that load calls, mix is generic, because then the compiler inlines it
// wherever a Map is made. It does not export the bodies of other functions to packages that
// import this one only indirectly.
func mix[W uint64](x, secret W) (early, late W) {
	early = fold(x^secret, 0xd6e8feb86659fd93)
	return early, fold(early, 0x9e3779b97f4a7c15)
}

func fold[W uint64](a, b W) W {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return W(hi ^ lo)
}

// hashString hashes short strings without a call of maphash.
func (h *hasher[K]) hashString(s string) uint64 {
	var a, b uint64
	switch n := len(s); {
	case n > 16:
		return maphash.String(h.seed, s)
	case n >= 8:
		a, b = load64(s), load64(s[n-8:])
	case n >= 4:
		a, b = load32(s), load32(s[n-4:])
	case n > 0:
		a, b = uint64(s[0])<<16|uint64(s[n/2])<<8|uint64(s[n-1]), 0
	}
	return h.mixWords(a, b, len(s))
}

// mixWords hashes two words. Both factors contain a secret: a factor that could be made
// zero would collide with every other one.
func (h *hasher[K]) mixWords(a, b uint64, n int) uint64 {
	return fold(fold(a^h.secret, b^h.second)^uint64(n), 0x9e3779b97f4a7c15)
}

func load64[S string](s S) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load32(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// keyBits returns the bytes of a key that is an integer or a pointer.
func keyBits[K comparable](key K) uint64 {
	switch unsafe.Sizeof(key) {
	case 8:
		return *(*uint64)(unsafe.Pointer(&key))
	case 4:
		return uint64(*(*uint32)(unsafe.Pointer(&key)))
	case 2:
		return uint64(*(*uint16)(unsafe.Pointer(&key)))
	default:
		return uint64(*(*uint8)(unsafe.Pointer(&key)))
	}
}

// keyString returns the string of a key whose kind is string.
func keyString[K comparable](key K) string { return *(*string)(unsafe.Pointer(&key)) }
