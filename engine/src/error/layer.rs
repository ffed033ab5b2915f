//! The layers of an [`Error`](super::Error), and how they are printed.

use std::any::{Any, TypeId};
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

/// One link of an error's chain.
pub(super) trait Layer: Send + Sync {
    /// The link as the standard library sees errors; its sources are the links below.
    fn as_std(&self) -> &(dyn StdError + 'static);
    /// The value of the wanted type, here or below.
    fn find(&self, wanted: TypeId) -> Option<&dyn Any>;
    /// Gives that value away, or itself back.
    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>>;
    /// What is printed behind the causes: that of the outermost layer which has something.
    fn trailer(&self) -> Option<&dyn Display> {
        None
    }
}

/// The messages from the outermost to the root cause.
pub(super) fn chain(layer: &dyn Layer) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(layer.as_std()), |error| (**error).source())
}

/// Prints all messages, one below the other, and the trailer.
pub(super) fn print_all(layer: &dyn Layer, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", layer.as_std())?;
    let causes: Vec<_> = chain(layer).skip(1).collect();
    if !causes.is_empty() {
        f.write_str("\n\nCaused by:")?;
    }
    for (i, cause) in causes.iter().enumerate() {
        match causes.len() {
            1 => write!(f, "\n    {cause}")?,
            _ => write!(f, "\n    {i}: {cause}")?,
        }
    }
    match layer.trailer() {
        Some(trailer) => write!(f, "\n\n{trailer}"),
        None => Ok(()),
    }
}

/// An error of a known type.
pub(super) struct Plain<E>(pub(super) E);

impl<E: StdError + Send + Sync + 'static> Layer for Plain<E> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        &self.0
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        (wanted == TypeId::of::<E>()).then_some(&self.0 as &dyn Any)
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        if wanted == TypeId::of::<E>() { Ok(Box::new(self.0)) } else { Err(self) }
    }
}

/// An error whose type has been forgotten.
pub(super) struct Boxed(pub(super) Box<dyn StdError + Send + Sync + 'static>);

impl Layer for Boxed {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        &*self.0
    }

    fn find(&self, _: TypeId) -> Option<&dyn Any> {
        None
    }

    fn take(self: Box<Self>, _: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        Err(self)
    }
}

/// A message that is an error of its own.
pub(super) struct Message<M>(pub(super) M);

impl<M: Display> Display for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl<M: Debug> Debug for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

impl<M: Display + Debug> StdError for Message<M> {}

impl<M: Display + Debug + Send + Sync + 'static> Layer for Message<M> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        (wanted == TypeId::of::<M>()).then_some(&self.0 as &dyn Any)
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        if wanted == TypeId::of::<M>() { Ok(Box::new(self.0)) } else { Err(self) }
    }
}

/// A message around another error.
pub(super) struct ContextLayer<C> {
    pub(super) context: C,
    pub(super) below: Box<dyn Layer>,
}

impl<C: Display> Display for ContextLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.context, f)
    }
}

impl<C: Display> Debug for ContextLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.context)?;
        print_all(&*self.below, f)
    }
}

impl<C: Display> StdError for ContextLayer<C> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.below.as_std())
    }
}

impl<C: Display + Send + Sync + 'static> Layer for ContextLayer<C> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        if wanted == TypeId::of::<C>() { Some(&self.context) } else { self.below.find(wanted) }
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        let ContextLayer { context, below } = *self;
        if wanted == TypeId::of::<C>() {
            return Ok(Box::new(context));
        }
        let restore = |below| Box::new(ContextLayer { context, below }) as Box<dyn Layer>;
        below.take(wanted).map_err(restore)
    }

    fn trailer(&self) -> Option<&dyn Display> {
        self.below.trailer()
    }
}

/// An error together with something that is found by its type and no link of the chain.
pub(super) struct Attached<A> {
    pub(super) attachment: A,
    /// Whether it is printed behind the causes.
    pub(super) printed: bool,
    pub(super) below: Box<dyn Layer>,
}

impl<A: Display + Send + Sync + 'static> Layer for Attached<A> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self.below.as_std()
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        if wanted == TypeId::of::<A>() { Some(&self.attachment) } else { self.below.find(wanted) }
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        let Attached { attachment, printed, below } = *self;
        if wanted == TypeId::of::<A>() {
            return Ok(Box::new(attachment));
        }
        let restore = |below| Box::new(Attached { attachment, printed, below }) as Box<dyn Layer>;
        below.take(wanted).map_err(restore)
    }

    fn trailer(&self) -> Option<&dyn Display> {
        if self.printed { Some(&self.attachment) } else { self.below.trailer() }
    }
}
