package main

import (
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A probe finds out whether the running kernel has something, by doing it.
type probe func(l *lab) finding

// probes are all, by kind and name.
func probes() map[string]map[string]probe {
	all := map[string]map[string]probe{
		"entry flag": entryFlags, "shared flag": sharedFlags, "completion flag": completionFlags,
		"opcode": {}, "setup flag": {}, "feature": {}, "registration": {"RegisterUseRegisteredRing": useRegistered},
		"enter flag": {"EnterRegisteredRing": enterRegistered}, kindFlag: {}, kindCall: calls, kindFace: {},
	}
	for _, o := range opcodes {
		all["opcode"][o.name] = o.find
	}
	for _, s := range setupFlags {
		all["setup flag"][s.name] = trySetup(s.params)
	}
	for name, bit := range features {
		all["feature"][name] = tryFeature(bit)
	}
	for name, flag := range enterFlags {
		all["enter flag"][name] = tryEnter(flag)
	}
	for _, r := range registrations {
		all["registration"][r.name] = r.find
	}
	for _, some := range []map[string]probe{timeoutFlags, pollFlags, networkFlags, messageFlags, nopFlags, fileFlags, registerFlags} {
		maps.Copy(all[kindFlag], some)
	}
	for _, some := range []map[string]trial{face, fileCalls, socketCalls, streamCalls, submissionCalls} {
		for name, f := range some {
			all[kindFace][name] = tryFace(f)
		}
	}
	return all
}

// findAll asks all of them, where any can be answered.
func findAll() (*record, error) {
	if err := uringwake.Supported(); err != nil {
		return nil, err
	}
	r := &record{release: release(), date: time.Now().Format(time.DateOnly)}
	all := probes()
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		for _, name := range slices.Sorted(maps.Keys(all[kind])) {
			r.lines = append(r.lines, line{kind, name, in(all[kind][name])})
		}
	}
	return r, nil
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
