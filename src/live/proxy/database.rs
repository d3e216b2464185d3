//! Databases through tunnels: the stream's certificate has named one.

use tokio_rustls::server::TlsStream;

use super::Proxy;
use crate::live::cut;
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;
use crate::model::id::ConnId;
use crate::model::teleport::DatabaseRoute;

impl Proxy {
    /// Serves the database of this route until the stream ends.
    #[expect(clippy::unused_async, reason = "what serves databases waits for them")]
    pub(super) async fn serve_database(
        &self,
        conn: ConnId,
        client: ClientAddr,
        route: DatabaseRoute,
        stream: TlsStream<cut::Stream>,
        _tasks: &Tasks,
    ) {
        let why = format!("database {} is not served here", route.service);
        self.refused(conn, Some(client), why);
        drop(stream);
    }
}
