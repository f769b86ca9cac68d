package uringnet

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// zones has the names of network interfaces by number: the zones of link-local addresses.
// To ask the kernel for each datagram takes too long. It is asked again after a minute, and
// for what is missing.
var zones struct {
	sync.Mutex
	names map[uint32]string
	asked time.Time
}

const zonesLast = time.Minute

// zoneName returns the zone of that number: "" for 0, and the number itself if no
// interface has it.
func zoneName(id uint32) string {
	if id == 0 {
		return ""
	}
	zones.Lock()
	defer zones.Unlock()
	name, ok := zones.names[id]
	if !ok || time.Since(zones.asked) > zonesLast {
		askZones()
		name, ok = zones.names[id]
	}
	if !ok {
		return strconv.FormatUint(uint64(id), 10)
	}
	return name
}

// zoneID returns the number of a zone, which may be the zone itself; or 0 if there is none.
func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	zones.Lock()
	defer zones.Unlock()
	id := findZone(zone)
	if id == 0 || time.Since(zones.asked) > zonesLast {
		askZones()
		id = findZone(zone)
	}
	if id == 0 {
		n, _ := strconv.ParseUint(zone, 10, 32)
		id = uint32(n)
	}
	return id
}

// findZone and askZones are called with zones locked.
func findZone(name string) uint32 {
	for id, n := range zones.names {
		if n == name {
			return id
		}
	}
	return 0
}

func askZones() {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	zones.asked, zones.names = time.Now(), make(map[uint32]string, len(all))
	for _, i := range all {
		zones.names[uint32(i.Index)] = i.Name
	}
}
