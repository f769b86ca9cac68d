package etcdengine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

// TestUsers: a user who may use the prefix can use the bucket. A wrong password and another
// bucket are refused at once.
func TestUsers(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--bcrypt-cost", "4")
	c := s.admin(t)
	_, err := c.RoleAdd(bg, "role")
	require.NoError(t, err)
	prefix := "vigil/test/"
	_, err = c.RoleGrantPermission(bg, "role", prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	for user, role := range map[string]string{"root": "root", "user": "role"} {
		_, err = c.UserAdd(bg, user, "password")
		require.NoError(t, err)
		_, err = c.UserGrantRole(bg, user, role)
		require.NoError(t, err)
	}
	_, err = c.AuthEnable(bg)
	require.NoError(t, err)

	o := s.options(enginetest.NewLink(s.dial))
	_, err = etcdengine.Open(bg, o)
	require.Error(t, err, "without a user")
	o.User, o.Password = "user", "wrong"
	_, err = etcdengine.Open(bg, o)
	require.ErrorIs(t, err, rpctypes.ErrAuthFailed)
	o.Password, o.Bucket = "password", "other"
	_, err = etcdengine.Open(bg, o)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	o.Bucket = "test"
	e := s.open(t, o)
	events := follow(t, e)
	until(events, isSynced)
	for range 4 { // the token that the client has is of no use when the server has been restarted
		revision, err := e.Write(bg, engine.Write{Key: "key", Unconditional: true, TTL: time.Hour})
		require.NoError(t, err)
		until(events, func(event engine.Event) bool { return event.Revision == revision })
		s.restart(t)
	}
}

// certificate writes one of a host that it is its own authority for.
func certificate(t *testing.T, host, dir string) *x509.CertPool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// TestTLS: a server is trusted for its certificate. If it is not, the error says so.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := certificate(t, "etcd", dir)
	s := newServer(t, "--listen-client-urls", "unixs://client:0", "--cert-file", filepath.Join(dir, "cert"), "--key-file", filepath.Join(dir, "key"))
	o := s.options(enginetest.NewLink(s.dial))
	o.Addresses, o.TLS = []string{"https://etcd"}, &tls.Config{RootCAs: pool}
	e := s.open(t, o)
	_, err := e.Write(bg, engine.Write{Key: "key"})
	require.NoError(t, err)

	o.TLS = nil
	for limit, told := 50*time.Millisecond, false; !told; limit *= 2 {
		ctx, cancel := context.WithTimeout(bg, limit)
		_, err := etcdengine.Open(ctx, o)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		told = strings.Contains(err.Error(), "x509")
	}
}
