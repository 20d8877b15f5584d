//! An operator's browser, as far as pages go: signed in, one connection, one page after the other.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use hyper::{Request, StatusCode};

use super::{Client, Connection, Credentials, Fault};

/// An operator who is signed in.
pub struct Operator {
    connection: Connection,
    host: String,
    cookie: String,
}

impl Operator {
    /// Signs the first admin in.
    ///
    /// # Errors
    /// The server does not take the password.
    pub async fn sign_in(client: &Client, credentials: &Credentials) -> Result<Self, Fault> {
        let (mut connection, host) = (client.connect().await?, client.host().to_owned());
        // What a password or an address of `init` has is nothing that a form would write otherwise, but `@`.
        let form = format!(
            "email={}&password={}",
            credentials.admin_email.replace('@', "%40"),
            credentials.admin_password
        );
        let request = Request::post("/dashboard/login")
            .header(HOST, &host)
            .header(ORIGIN, format!("https://{host}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let answer = connection.exchange(request).await?;
        let cookie =
            answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookie =
            cookie.ok_or_else(|| format!("the sign-in was answered {}", answer.status()))?.to_owned();
        answer.into_body().collect().await?;
        Ok(Self { connection, host, cookie })
    }

    /// A page as a whole.
    ///
    /// # Errors
    /// It is not answered 200.
    pub async fn page(&mut self, path: &str) -> Result<Bytes, Fault> {
        Ok(self.open(path).await?.collect().await?.to_bytes())
    }

    /// A page's body, to be read at leisure.
    ///
    /// # Errors
    /// It is not answered 200.
    pub async fn open(&mut self, path: &str) -> Result<Incoming, Fault> {
        let request = Request::get(path)
            .header(HOST, &self.host)
            .header(COOKIE, &self.cookie)
            .body(Full::new(Bytes::new()))?;
        let answer = self.connection.exchange(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(format!("{path} was answered {status}").into()),
        }
    }
}
