package etcdengine_test

import (
	"testing"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, forgets bool) *enginetest.Store {
		s := newServer(t)
		return &enginetest.Store{
			Open: func(t *testing.T) (engine.Engine, *enginetest.Link) {
				link := enginetest.NewLink(s.dial)
				return s.open(t, s.options(link)), link
			},
			Purge: s.purge, Remake: s.remake, Restart: s.restart, Forget: s.forget,
		}
	})
}
