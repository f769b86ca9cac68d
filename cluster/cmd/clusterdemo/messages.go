package main

import "time"

// A message is what a worker tells. One of its fields is set.
type message struct {
	Ready  string  `json:",omitempty"` // it has opened the bucket; the address of its page, or "-"
	Report *report `json:",omitempty"`
	Begun  *load   `json:",omitempty"`
	Ended  *load   `json:",omitempty"`
}

// A report is what a worker has done, and how it is.
type report struct {
	Requests int // that have ended
	Hits     int // that found a valid page
	Loads    int // that have begun
	Failed   int // requests that ended with an error
	Failure  string

	Waiting   int // requests that wait for a load, here or elsewhere
	Longest   time.Duration
	Lag       uint64
	Reachable bool

	Final bool // all requests have ended
}

// A load is one call of a loader.
type load struct {
	Worker int
	Key    string
	Fence  uint64
	Begun  time.Time
	Stored uint64    // the revision of the page; zero if it was not stored, or nobody knows
	Until  time.Time // when the page ends
}

// An order is what a worker is told to do. One of its fields is set.
type order struct {
	Begin bool   `json:",omitempty"` // let the clients ask
	Hang  string `json:",omitempty"` // load that key, and never end
	Ask   string `json:",omitempty"` // request that key
	Stop  bool   `json:",omitempty"` // end when all requests have ended
}
